#!/usr/bin/env bash
# Qiskit 2.6.2, Aer 0.18.2: a gate of one's own that has the name of a standard gate is run as the standard gate.
#
# A sub-circuit named "x" that holds a Hadamard becomes a gate by to_gate(). Aer, transpile and OpenQASM 2 look at its name, and take it for
# the X gate; StatevectorSampler, QPY and OpenQASM 3 look at its definition. Short names such as "s", "t", "p" or "u" are easily chosen for a step
# of an algorithm, and no error or warning tells the two apart.
# Seen on 2026-11-29, of 1000 shots of a Hadamard named "x":
#   StatevectorSampler {'0': 507, '1': 493}
#   QPY, then StatevectorSampler {'0': 507, '1': 493}
#   AerSimulator {'1': 1000}
#   transpile(basis_gates=["u", "cx"]), then StatevectorSampler {'1': 1000}
#   OpenQASM 2, then StatevectorSampler {'1': 1000}
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet qiskit==2.6.2 qiskit-aer==0.18.2
"$directory/env/bin/python" - <<'PYTHON'
import io

from qiskit import QuantumCircuit, qasm2, qpy, transpile
from qiskit.primitives import StatevectorSampler
from qiskit_aer import AerSimulator


def sampled(circuit):
    counts = StatevectorSampler(seed=1).run([circuit], shots=1000).result()[0].data.meas.get_counts()
    return dict(sorted(counts.items()))


step = QuantumCircuit(1, name="x")
step.h(0)
circuit = QuantumCircuit(1)
circuit.append(step.to_gate(), [0])
circuit.measure_all()
file = io.BytesIO()
qpy.dump(circuit, file)
file.seek(0)
seen = {
    "StatevectorSampler": sampled(circuit),
    "QPY, then StatevectorSampler": sampled(qpy.load(file)[0]),
    "AerSimulator": AerSimulator().run(circuit, shots=1000).result().get_counts(),
    'transpile(basis_gates=["u", "cx"]), then StatevectorSampler': sampled(transpile(circuit, basis_gates=["u", "cx"])),
    "OpenQASM 2, then StatevectorSampler": sampled(qasm2.loads(qasm2.dumps(circuit))),
}
for name, counts in seen.items():
    print(name, counts)
assert [len(counts) for counts in seen.values()] == [2, 2, 1, 1, 1], "it has changed"
PYTHON

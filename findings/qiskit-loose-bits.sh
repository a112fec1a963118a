#!/usr/bin/env bash
# Qiskit 2.6.2: Result.get_counts() loses shots of a circuit with classical bits outside of registers.
#
# A bit that is in no register takes a place among the bits of each outcome, but the header of the result lists registers only.
# get_counts() cuts outcomes by that list, so that the first register shows the loose bit, and outcomes which then look alike
# overwrite each other: of 1,000 shots about 500 are left. The data themselves are whole (results[0].data.counts).
# Seen on 2026-11-28:
#   get_counts {'0 0': 250, '0 1': 228} of 1000 shots
#   data {'0x1': 275, '0x3': 247, '0x0': 250, '0x2': 228}
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet qiskit==2.6.2 qiskit-aer==0.18.2
"$directory/env/bin/python" - <<'PYTHON'
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Clbit, Qubit
from qiskit_aer import AerSimulator

circuit = QuantumCircuit([Qubit(), Qubit(), Qubit()], [Clbit()])
circuit.add_register(ClassicalRegister(1, "a"))
circuit.add_register(ClassicalRegister(1, "b"))
circuit.h([0, 1])
circuit.measure([0, 1, 2], [0, 1, 2])
result = AerSimulator().run(circuit, shots=1000, seed_simulator=1).result()
counts, data = result.get_counts(), result.results[0].data.counts
print(f"get_counts {counts} of {sum(data.values())} shots\ndata {data}")
assert sum(data.values()) == 1000
assert sum(counts.values()) < 700, "it has changed: the shots are all there"
PYTHON

#!/usr/bin/env bash
# pytket-qiskit 0.79.0: TketBackend gives the bits of two classical registers to the wrong ones.
#
# A circuit with the registers a (1 bit) and b (2 bits) always measures a = 1, b = 10. Qiskit and Aer say '10 1'. TketBackend says '11 0':
# the value has the bits of b first, the header has the register a first. So counts of more than one register are wrong.
# Seen on 2026-11-28:
#   Aer {'10 1': 10} TketBackend {'11 0': 10}
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet qiskit==2.6.2 qiskit-aer==0.18.2 pytket-qiskit==0.79.0
"$directory/env/bin/python" - <<'PYTHON'
from pytket.extensions.qiskit import AerBackend
from pytket.extensions.qiskit.tket_backend import TketBackend
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit_aer import AerSimulator

simulator = AerBackend()
backend = TketBackend(simulator, simulator.default_compilation_pass())
circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(1, "a"), ClassicalRegister(2, "b"))
circuit.x([0, 2])
circuit.measure([0, 1, 2], [0, 1, 2])
aer, tket = (each.run([circuit], shots=10).result().get_counts() for each in (AerSimulator(), backend))
print(f"Aer {aer} TketBackend {tket}")
assert aer == {"10 1": 10}
assert tket == {"11 0": 10}, "it has changed"
PYTHON

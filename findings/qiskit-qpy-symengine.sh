#!/usr/bin/env bash
# Qiskit 1.1.2 and 2.6.2: what the one writes today as QPY 12, the other cannot read, though it reads QPY 12.
#
# Angles that are not bound are written by symengine, unless use_symengine=False says otherwise, and only the same minor version of
# symengine can read them. Qiskit 1.1.2 takes the newest one that there is, 0.15; Qiskit 2.6.2 takes only those before 0.14 for it.
# Seen on 2026-11-29:
#   written by Qiskit 1.1.2 with symengine 0.15.0
#   read by Qiskit 2.6.2 with symengine 0.13.0: QpyError: 'Incompatible symengine version 0.15 used to generate the QPY payload'
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/old"
python3 -m venv "$directory/new"
"$directory/old/bin/pip" install --quiet qiskit==1.1.2
"$directory/new/bin/pip" install --quiet qiskit==2.6.2 "symengine<0.14"
"$directory/old/bin/python" - "$directory/circuit.qpy" <<'PYTHON'
import sys

import qiskit
import symengine
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter

circuit = QuantumCircuit(1)
circuit.rx(Parameter("a") + Parameter("b"), 0)
with open(sys.argv[1], "wb") as file:
    qpy.dump(circuit, file)
print(f"written by Qiskit {qiskit.__version__} with symengine {symengine.__version__}")
PYTHON
"$directory/new/bin/python" - "$directory/circuit.qpy" <<'PYTHON'
import sys

import qiskit
import symengine
from qiskit import qpy

with open(sys.argv[1], "rb") as file:
    try:
        qpy.load(file)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    else:
        raise SystemExit("it has changed: the circuit is read")
print(f"read by Qiskit {qiskit.__version__} with symengine {symengine.__version__}: {told}")
assert "Incompatible symengine version" in told
PYTHON

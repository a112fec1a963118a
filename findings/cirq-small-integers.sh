#!/usr/bin/env bash
# Cirq 1.7.0: correlations that are computed by a matrix product of what was measured are wrong from 128 shots on.
#
# `result.measurements` are arrays of int8, and so is 1 - 2 * bits. NumPy's sum and mean count in larger integers; its product of matrices, `@` and dot, does
# not, and begins anew behind 127 without a warning. Few shots, with which one tries, are right. The documentation calls them booleans. Amazon Braket's have int64.
# Seen on 2026-11-30 of two qubits that always agree, so that <ZZ> is 1:
#   100 shots: z1 @ z2 / shots is 1.0, mean(z1 * z2) is 1.0
#   1000 shots: z1 @ z2 / shots is -0.024, mean(z1 * z2) is 1.0
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet cirq-core==1.7.0
cd "$directory"
cat >run.py <<'PYTHON'
import cirq

qubits = cirq.LineQubit.range(2)
circuit = cirq.Circuit(cirq.H(qubits[0]), cirq.CNOT(*qubits), cirq.measure(*qubits, key="m"))
seen = []
for shots in (100, 1000):
    z1, z2 = 1 - 2 * cirq.Simulator(seed=1).run(circuit, repetitions=shots).measurements["m"].T
    seen += [float((z1 @ z2) / shots), float((z1 * z2).mean())]
    print(f"{shots} shots: z1 @ z2 / shots is {seen[-2]}, mean(z1 * z2) is {seen[-1]}")
assert seen == [1.0, 1.0, -0.024, 1.0], "it has changed"
PYTHON
timeout 120 env/bin/python run.py

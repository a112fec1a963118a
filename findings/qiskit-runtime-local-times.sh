#!/usr/bin/env bash
# qiskit-ibm-runtime 0.51.0: a job of the local mode says that it was finished before its work has begun.
#
# metrics() of a job that ran in this process has the same table as that of IBM's service. Its times are all taken when the job is
# made, after which it simulates: `finished` is a microsecond after `running`, however long that takes.
# Seen on 2026-11-29:
#   the result took 15.30 s; running to finished 0.000003 s
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet qiskit==2.6.2 qiskit-ibm-runtime==0.51.0 qiskit-aer==0.18.2
"$directory/env/bin/python" -W ignore - <<'PYTHON'
import time
from datetime import datetime

from qiskit import QuantumCircuit, transpile
from qiskit_ibm_runtime import SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

device = FakeManilaV2()
circuit = QuantumCircuit(4)
for qubit in range(4):
    circuit.h(qubit)
circuit.measure_all()
ready = transpile(circuit, device, optimization_level=0)
start = time.monotonic()
job = SamplerV2(mode=device).run([ready] * 20, shots=20_000)
job.result()
took = time.monotonic() - start
times = job.metrics()["timestamps"]
told = datetime.fromisoformat(times["finished"]) - datetime.fromisoformat(times["running"])
print(f"the result took {took:.2f} s; running to finished {told.total_seconds():f} s")
assert took > 0.5
assert told.total_seconds() < 0.01, "it has changed: the times are those of the work"
PYTHON

"""A program forks that has simulated circuits: the child simulates its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys, time, traceback
from pathlib import Path
from anyjob_qiskit import Circuit
from qiskit import QuantumCircuit
from anyjob import BackendError, Call, Config, Registry, Session

def in_child(do):
    child = os.fork()
    if not child:
        try:
            do()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

table = {"type": "aer", "threads": 2}
session = Session(Config.from_dict({"backends": {"b": table}}), Registry(), Path(sys.argv[1]) / "state")
backend = session.get_backend("b")
circuit = QuantumCircuit(16)
circuit.h(range(16))
circuit.measure_all()
spec = Circuit(circuit, shots=10)
backend.run(spec).result(60)
job = backend.run(spec)

def child():
    try:
        job.result(60)
    except BackendError as error:
        assert "forked off" in str(error), error
    assert backend.run(spec).result(60)
    session.close()

in_child(child)
assert job.result(60)
assert backend.run(spec).result(60)
session.close()
print("over")
"""


def run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, start_new_session=True)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


def test_a_child_simulates_its_own(tmp_path: Path) -> None:
    run(PROGRAM, str(tmp_path))

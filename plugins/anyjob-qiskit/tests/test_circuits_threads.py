"""A thread of ours loads Qiskit first: what that holds for the main one is there as long as the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, threading
import scipy.linalg  # else a thread of its library may take the place of the one that has ended
from anyjob import Config, Registry, Session

table = {"type": "qiskit", "backend": "circuits_lab:Lab", "arguments": {"directory": sys.argv[1] + "/lab"}}
config = Config.from_dict({"backends": {"lab": {**table, "durable": True, "interval": 0.05}}})

def open_session():
    return Session(config, Registry(), sys.argv[1] + "/state")

if sys.argv[2:]:
    with open_session() as session:
        job = session.get_job(sys.argv[2])
        print(job.result(timeout=60).counts)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(10)

    from qiskit import QuantumCircuit, transpile
    from qiskit.transpiler import CouplingMap

    circuit = QuantumCircuit(5)
    circuit.h(0)
    for number in range(1, 5):
        circuit.cx(0, number)
    transpile(circuit, coupling_map=CouplingMap.from_line(5), basis_gates=["cx", "rz", "sx"])
    print("over")
else:
    import circuits_lab

    with open_session() as session:
        print(session.get_backend("lab").run(circuits_lab.waiting(1)).job_id())
"""


def run(*arguments: str) -> str:
    tests = str(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_program_that_has_waited_for_a_device_transpiles(tmp_path: Path) -> None:
    """mimalloc#1356: the watcher had loaded Qiskit and ended; who took its place crashed."""
    job_id = run(str(tmp_path)).strip()

    assert run(str(tmp_path), job_id) == "{'0': 10}\nover\n"

"""A program forks that has simulated circuits: the child simulates its own."""

from __future__ import annotations

from pathlib import Path

from support.forking import run_forking

PROGRAM = """
import os, sys, time
os.environ["OMP_NUM_THREADS"] = "2"  # Aer takes no more
from pathlib import Path
from anyjob_qiskit import Circuit
from qiskit import QuantumCircuit
from anyjob import BackendError, Call, Config, Registry, Session

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


def test_a_child_simulates_its_own(tmp_path: Path) -> None:
    run_forking(PROGRAM, str(tmp_path))

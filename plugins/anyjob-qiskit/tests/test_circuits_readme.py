"""The examples of the README are executed; and nothing of Qiskit is imported before it is used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def test_examples_of_the_readme_do_what_they_show(run_examples: Callable[..., None]) -> None:
    run_examples(Path(__file__).resolve().parents[1] / "README.md")


def test_qiskit_is_imported_only_when_it_is_used() -> None:
    program = """
import sys, anyjob, anyjob_qiskit
from anyjob import Config, Session
from anyjob_qiskit import Circuit
options = {"type": "qiskit", "backend": "no_such:thing"}
session = Session(Config.from_dict({"backends": {"a": {"type": "aer"}, "b": options}}))
spec = Circuit("bell.qasm", shots=3)
for name in ("a", "b"):
    session.get_backend(name).close()
session.get_job_type("circuit")
session.get_provider("qiskit").close()
found = [name for name in sys.modules if name.partition(".")[0].startswith("qiskit")]
assert not found, found
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

"""The examples of the README are executed; and nothing of Qiskit is imported before it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[1]


def test_examples_of_the_readme_do_what_they_show(anyjob_environment: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    run_page = PLUGIN.parents[1] / "tests" / "run_page.py"
    binaries = os.path.dirname(sys.executable)
    done = subprocess.run(
        [sys.executable, str(run_page), str(PLUGIN / "README.md")],
        cwd=work,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(work), *filter(None, sys.path)]),
        },
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


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

"""The examples of the README are executed."""

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
    binaries = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, str(run_page), str(PLUGIN / "README.md")],
        cwd=work,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "ANYJOB_STATE": str(anyjob_environment / "state"),
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(work),
        },
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"

"""Type checkers know of what type results are: what `typed_results` says of them holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PROGRAM = TESTS / "typed_results.py"


def checked(*argv: str) -> None:
    command = [sys.executable, "-m", *argv]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_knows_the_types_of_results() -> None:
    """rq#2203, procrastinate#1056: what a job returns was of any type."""
    checked("mypy", str(PROGRAM))


def test_pyright_knows_the_types_of_results(tmp_path: Path) -> None:
    """rq#2203, procrastinate#1056, by the rules of pyright, which basedpyright brings without a download."""
    settings = {
        "include": [str(PROGRAM)],
        "extraPaths": [str(ROOT / "src")],
        "typeCheckingMode": "standard",
        "enableTypeIgnoreComments": True,
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    project = tmp_path / "pyrightconfig.json"
    project.write_text(json.dumps(settings))
    checked("basedpyright", "--project", str(project), "--pythonpath", sys.executable)

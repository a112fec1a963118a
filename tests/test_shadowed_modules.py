"""A user's ``random.py`` beside a script is imported in place of Python's own: told to who meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anyjob.builtin.local.paths import RuntimePaths
from anyjob.standalone.shadowing import shadowing

pytestmark = pytest.mark.usefixtures("local_cli")

SCRIPT = """\
import anyjob

def report():
    return 42

if __name__ == "__main__":
    from anyjob import Call
    print(anyjob.get_backend({backend!r}).run(Call(report)).result(timeout=60))
"""


def said(name: str, directory: Path) -> str:
    return f"{directory / name}.py is imported in place of Python's own module {name!r}: rename that file"


def run_beside(name: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a directory with a module of that name."""
    (directory / f"{name}.py").write_text("x = 1\n")
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["enum", "random", "signal"])
def test_the_command_line_names_the_file(name: str, tmp_path: Path) -> None:
    done = run_beside(name, tmp_path, "-m", "anyjob", "run", "-b", "inline", "--", "true")
    assert said(name, tmp_path) in done.stderr
    assert "fault of anyjob" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("enum", "inline"),  # while a name of anyjob is imported
        ("queue", "processes"),  # while the backend is
        ("tempfile", "processes"),  # in the worker
        ("string", "processes"),  # while the call is pickled
        ("json", "local"),  # while it is handed over
    ],
)
def test_a_script_beside_it_names_the_file(name: str, backend: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(backend=backend))
    done = run_beside(name, tmp_path, str(script))
    assert said(name, tmp_path) in done.stderr


def test_the_error_of_a_job_names_the_file(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import anyjob\n\ndef draw():\n    import random\n    return random.random()\n\n"
        "job = anyjob.get_backend('local').run(draw)\n"
        "error = job.exception(timeout=60)\n"
        "print(error.__notes__, job.outcome().message)\n"
    )
    done = run_beside("random", tmp_path, str(script))
    assert done.stdout.count(said("random", tmp_path)) == 2, done.stderr


def test_our_daemons_have_the_modules_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "selectors.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    _, _, code, *_ = RuntimePaths(tmp_path / "state").arguments("keeper")
    sets_path, _, _ = code.partition("from anyjob")
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{sets_path}import selectors;print(selectors.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).parent == Path(os.__file__).parent


def test_other_errors_are_left_alone() -> None:
    error = ImportError("cannot import name 'x' from 'random'", name="no_such_module", path="/a/no_such.py")
    assert shadowing(error) == ""
    assert shadowing(ModuleNotFoundError("No module named 'json.nothing'", name="json.nothing")) == ""
    assert shadowing(None) == ""

"""What guards the repository guards it: the checks of scripts/, the shared conftest, the metadata."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from anyjob.testing.environment.leftover_processes import leftovers

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with nothing in it but the check."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "check-tree", tmp_path / "scripts")
    assert run("git", "init", "-q", cwd=tmp_path).returncode == 0
    return tmp_path


def check(tree: Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "scripts/check-tree", cwd=tree)


def test_clean_tree_passes(tree: Path) -> None:
    (tree / "page.md").write_text("see /home/me/work and https://example.org/\n")
    done = check(tree)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        "https://" + "pypi" + ".org/simple",
        "cd /" + "root/x",
        "cd /home/" + "somebody/x",
        "https://user:" + "word@example.org",
        "-----BEGIN RSA PRIVATE" + " KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
    ],
)
def test_forbidden_text_is_found_with_its_place(tree: Path, text: str) -> None:
    (tree / "page.md").write_text(f"fine\n{text}\n")
    done = check(tree)
    assert done.returncode == 1
    assert "page.md:2: " in done.stderr


def test_two_test_files_of_one_name_are_found(tree: Path) -> None:
    for directory in ("tests", "plugins/x/tests"):
        (tree / directory).mkdir(parents=True)
        (tree / directory / "test_same.py").touch()
    done = check(tree)
    assert done.returncode == 1
    assert "plugins/x/tests/test_same.py, tests/test_same.py" in done.stderr


def test_lower_bounds_are_those_of_the_dependencies_and_of_what_users_may_add() -> None:
    done = run(sys.executable, "scripts/lower-bounds", ".", cwd=ROOT)
    extras = PROJECT["optional-dependencies"]
    bounds = [*PROJECT["dependencies"], *extras["keyring"], *extras["testing"]]
    assert done.stdout.splitlines() == sorted(bound.replace(">=", "==") for bound in bounds)


def test_each_plugin_is_an_extra_of_the_core() -> None:
    """`pip install "anyjob[slurm,ssh]"`: whoever finds the core need not know what its plugins are called."""
    bound = ">=0.1,<0.2"
    extras = [lines[0] for lines in PROJECT["optional-dependencies"].values() if lines[0].endswith(bound)]
    plugins = [path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")]
    assert sorted(extras) == sorted(f"{name}{bound}" for name in plugins)
    assert PROJECT["version"].startswith("0.1.")


def projects(tree: Path, **dependencies: list[str]) -> None:
    """Write projects of ours with dependencies; those of the extra ``test`` begin with that word."""
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    for name, lines in dependencies.items():
        directory = tree if name == "anyjob" else tree / "plugins" / f"anyjob-{name}"
        directory.mkdir(parents=True, exist_ok=True)
        tests = [line.removeprefix("test: ") for line in lines if line.startswith("test: ")]
        always = [line for line in lines if not line.startswith("test: ")]
        (directory / "pyproject.toml").write_text(
            f"[project]\ndependencies = {always}\n[project.optional-dependencies]\ntest = {tests}\n"
        )


def test_of_two_lower_bounds_the_newer_one_counts(tmp_path: Path) -> None:
    projects(tmp_path, anyjob=["a>=1.9", "b>=2"], x=["anyjob>=0.1,<0.2", "A>=1.10,<3", "test: c[d]>=3"])
    done = run(sys.executable, "scripts/lower-bounds", "plugins/anyjob-x", ".", cwd=tmp_path)
    assert done.stdout.split() == ["a==1.10", "b==2", "c==3"]


def test_a_dependency_without_a_lower_bound_is_named(tmp_path: Path) -> None:
    projects(tmp_path, anyjob=["a<3"])
    done = run(sys.executable, "scripts/lower-bounds", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "./pyproject.toml: 'a<3' has no lower bound" in done.stderr


def test_wheels_are_built_of_what_a_plugin_and_its_tests_need_of_ours(tmp_path: Path) -> None:
    projects(
        tmp_path,
        anyjob=["a"],
        x=["anyjob>=0.1", "anyjob-elsewhere", "test: anyjob-x[plot]", "test: anyjob-y"],
        y=["anyjob>=0.1", "test: anyjob-z"],
        z=["anyjob>=0.1"],
    )
    done = run(sys.executable, "scripts/ours", "plugins/anyjob-x", cwd=tmp_path)
    assert done.stdout.split() == ["plugins/anyjob-x", ".", "plugins/anyjob-y"]


def test_no_plugin_needs_another_where_it_runs() -> None:
    for file in ROOT.glob("plugins/*/pyproject.toml"):
        needed = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
        assert [line for line in needed if line.startswith("anyjob-")] == []


@pytest.mark.parametrize(
    ("plugin", "engine"),
    [
        ("dask", "distributed"),
        ("opentelemetry", "opentelemetry-api"),
        ("qiskit", "qiskit"),
        ("qiskit", "qiskit-aer"),
        ("ray", "ray"),
    ],
)
def test_the_oldest_engine_that_is_taken_is_that_which_the_readme_tells(plugin: str, engine: str) -> None:
    directory = ROOT / "plugins" / f"anyjob-{plugin}"
    project = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bound,) = re.findall(rf"^{engine}>=([\d.]+)", "\n".join(project["dependencies"]), re.MULTILINE)
    readme = (directory / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"Tested with .* {re.escape(bound)}\b.*, the oldest that it takes", readme)


def test_a_part_that_is_none_is_refused_with_those_that_are(tmp_path: Path) -> None:
    projects(tmp_path, anyjob=[], x=[])
    done = run("scripts/test-matrix", "core", "plugins/x", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no part 'plugins/x'; there are core plugins/anyjob-x" in done.stderr


def test_what_fails_or_is_not_found_stops_no_other_combination(tmp_path: Path) -> None:
    projects(tmp_path, anyjob=["a"], x=["b"])  # without lower bounds, so that each fails at once
    ours = f"3.{sys.version_info.minor}"
    with open(tmp_path / "pyproject.toml", "a") as file:
        file.writelines(f'# "Programming Language :: Python :: {each}"\n' for each in (ours, "3.99"))
    for name in (".venv/bin/python", f"bin/python{ours}"):
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        program.chmod(0o755)
    done = run("scripts/test-matrix", cwd=tmp_path, PATH=f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1
    told = done.stdout.partition("of the combinations:\n")[2].splitlines()
    assert any(" on Python 3.14 with the newest " in line for line in told)  # which no classifier names
    assert [line.split()[:2] for line in told if " 3.14 " not in line] == [
        ["FAILED", "core"],
        ["FAILED", "core"],
        ["SKIPPED", "core"],
        ["FAILED", "plugins/anyjob-x"],
        ["FAILED", "plugins/anyjob-x"],
    ]


def test_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1" && exit\nexit 1\n')
    old.chmod(0o755)
    done = run(ROOT / "scripts" / "make-venv", tmp_path / "venv", old, cwd=tmp_path)
    assert done.returncode == 1
    assert "Python 3.9.1" in done.stderr
    assert "3.11 or newer" in done.stderr


def test_missing_ensurepip_is_told_with_the_way_out(tmp_path: Path) -> None:
    debian = tmp_path / "debian-python"
    debian.write_text(f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n')
    debian.chmod(0o755)
    done = run(ROOT / "scripts" / "make-venv", tmp_path / "venv", debian, cwd=tmp_path)
    assert done.returncode == 1
    assert "python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(("required", "outcome"), [("", "2 skipped"), ("1", "1 failed, 1 skipped")])
def test_missing_engine_skips_here_and_fails_where_engines_are_required(
    tmp_path: Path, required: str, outcome: str
) -> None:
    shutil.copy(ROOT / "tests" / "support" / "required_engines.py", tmp_path / "conftest.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = engine\n")
    (tmp_path / "test_it.py").write_text(
        'import unittest\n\nimport pytest\n\npytestmark = pytest.mark.engine("slurm")\n\n\n'
        'def test_it():\n    pytest.skip("no sbatch here")\n\n\n'
        'def test_of_the_kit():\n    raise unittest.SkipTest("the backend declares that it lacks this")\n'
    )
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "-rsf",
        "-p",
        "no:cacheprovider",
        cwd=tmp_path,
        ANYJOB_REQUIRE_ENGINES=required,
    )
    assert outcome in done.stdout
    assert "no sbatch here" in done.stdout


def test_core_registers_its_names_as_a_plugin_does() -> None:
    groups = PROJECT["entry-points"]
    assert groups["anyjob.api"] == {"v1": "anyjob"}
    assert set(groups["anyjob.backends"]) == {"inline", "threads", "processes", "local", "batch"}
    assert set(groups["anyjob.job_types"]) == {"command", "python"}


def test_what_a_test_leaves_running_on_local_is_ended(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import anyjob\n\n\ndef test_it():\n"
        '    command = anyjob.Command(["sh", "-c", "echo here; exec sleep 600"])\n'
        '    next(anyjob.get_backend("local").run(command).logs(follow=True))\n'
    )
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path}/base",
        cwd=tmp_path,
    )
    assert "1 passed" in done.stdout, done.stdout
    assert leftovers(tmp_path) == []


def test_the_tests_set_the_signals_that_they_rely_on(tmp_path: Path) -> None:
    """``nohup make test &`` of a shell without job control starts them with SIGINT and SIGHUP ignored."""
    shutil.copy(ROOT / "tests" / "support" / "default_signals.py", tmp_path / "conftest.py")
    (tmp_path / "test_signals_here.py").write_text(
        "import signal, subprocess, sys\n"
        "def test_signals():\n"
        "    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "    look = 'import signal as s; print(s.getsignal(1) == s.SIG_DFL, s.pthread_sigmask(0, ()))'\n"
        "    assert subprocess.check_output([sys.executable, '-c', look]) == b'True set()\\n'\n"
    )
    program = (
        "import os, signal, sys\n"
        "for number in (signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '.'])"
    )
    done = run(sys.executable, "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_an_import_from_above_is_found(tmp_path: Path) -> None:
    source = tmp_path / "src" / "anyjob"
    (source / "ledger").mkdir(parents=True)
    (source / "ledger" / "store.py").write_text(
        "if TYPE_CHECKING:\n    from anyjob.cli import app\n\n"
        "def f():\n    from anyjob.session import facade\n"
    )
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "check-imports", tmp_path / "scripts")
    done = run(sys.executable, "scripts/check-imports", cwd=tmp_path)
    above = [
        f"anyjob/ledger/store.py:{line}: ledger may not import anyjob.{module}, which is above it"
        for line, module in ((2, "cli.app"), (5, "session.facade"))
    ]
    assert (done.returncode, done.stderr.splitlines()) == (1, above)


def test_what_is_private_elsewhere_and_a_fault_that_is_hidden_unsaid_are_found(tmp_path: Path) -> None:
    text = (
        "class Own:\n    def __init__(self, other):\n        self._a = other._a\n        other._theirs()\n"
        "        other._replace()\n"
        "try:\n    f()\nexcept (OSError, Exception):\n    pass\n"
        "try:\n    f()\nexcept Exception:  # of a user's\n    pass\n"
        "try:\n    f()\nexcept BaseException:\n    raise\n"
        "with suppress(Exception):\n    f()\n"
    )
    for package in ("src", "plugins/anyjob-acme/src/anyjob_acme"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "module.py").write_text(text)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "check-code", tmp_path / "scripts")
    done = run(sys.executable, "scripts/check-code", cwd=tmp_path)
    found = sorted(tuple(line.split(":")[:2]) for line in done.stderr.splitlines())
    core = [("src/module.py", line) for line in ("18", "4", "8")]
    plugin = [("plugins/anyjob-acme/src/anyjob_acme/module.py", line) for line in ("18", "8")]
    assert (done.returncode, found) == (1, plugin + core)


# --- scripts/run-tests ----------------------------------------------------------------------------

UNSTEADY = """
import os
import pytest

def test_at_first():
    seen = os.path.exists("seen")
    open("seen", "w").close()
    assert seen

def test_always(): assert {always}

@pytest.mark.parametrize("number", range({many}))
def test_many(number): assert number < 0
"""


@pytest.mark.parametrize(
    ("always", "many", "again", "code", "runs", "noted"),
    [
        (True, 0, True, 0, 2, True),
        (True, 0, False, 1, 1, False),
        (False, 0, True, 1, 2, False),
        (True, 3, True, 1, 1, False),
    ],
    ids=["fails once", "nobody asked for that", "fails again", "too many"],
)
def test_what_fails_in_continuous_integration_is_run_once_more_and_named(
    tmp_path: Path, always: bool, many: int, again: bool, code: int, runs: int, noted: bool
) -> None:
    (tmp_path / "test_it.py").write_text(UNSTEADY.format(always=always, many=many))
    notes = tmp_path / "notes"
    done = run(
        ROOT / "scripts/run-tests",
        *("part", sys.executable, "test_it.py"),
        cwd=tmp_path,
        ANYJOB_FAILED_AGAIN=str(notes) if again else "",
    )
    assert (done.returncode, done.stdout.count("test session starts")) == (code, runs), done.stdout
    assert (notes.read_text() if notes.exists() else "") == ("test_it.py::test_at_first\n" if noted else "")

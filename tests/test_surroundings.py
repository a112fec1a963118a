"""What surrounds a process may be odd: paths that are no UTF-8, closed streams, a directory that is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running, until
from support.cli_program import PROGRAM, anyjob, invoke

from anyjob import Call, Command, Config, JobError, Registry, Session, StateError
from anyjob.builtin.local.backend import LocalBackend
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.errors import UnknownNameError
from anyjob.ledger.file import statedir
from anyjob.ledger.file.statedir import runtime_directory
from anyjob.testing.environment.leftover_processes import end_leftovers

ROOT = Path(__file__).resolve().parent.parent
ODD = os.fsdecode(b"caf\xe9")
"""A name as it is written in Latin-1: no UTF-8."""


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Path]:
    """A directory of such a name, below which nothing is left running."""
    directory = tmp_path / ODD
    directory.mkdir()
    yield directory
    end_leftovers(directory)


# --- bytes that are not UTF-8 -------------------------------------------------------------------


def test_jobs_run_where_home_state_and_imports_are_no_utf8(odd: Path) -> None:
    """issue 14, 15: UnicodeEncodeError."""
    (odd / "helper.py").write_text("def twice(x): return 2 * x\n")
    (odd / "script.py").write_text(
        "import anyjob, helper, large\nfrom anyjob import Call, Command\n"
        "local = anyjob.get_backend('local')\n"
        "jobs = [local.run(Call(f, (21,))) for f in (helper.twice, lambda x: x + 21)]\n"
        "program = local.run(Command(['echo', 'x']))\n"
        "print([job.result(60) for job in jobs], program.result(60).stdout.text())\n"
        "print(len(local.run(Call(large.value)).result(60)))\n"
    )
    modules = odd / "modules"
    modules.mkdir()
    (modules / "large.py").write_text("def value(): return b'x' * 1_000_000\n")
    environment = {**os.environ, "HOME": str(odd), "PYTHONPATH": str(modules)}
    environment.pop("ANYJOB_STATE", None)
    done = subprocess.run(
        [sys.executable, str(odd / "script.py")], env=environment, capture_output=True, timeout=120
    )
    assert done.stdout == b"[42, 42] x\n\n1000000\n", done.stderr


def test_the_command_line_takes_names_and_files_that_are_no_utf8(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYJOB_STATE", str(odd / "state"))
    monkeypatch.chdir(odd)
    (odd / "jobs.toml").write_text('[command]\nargv = ["cat"]\nstdin = "data"\n')
    (odd / "data").write_text("x")
    run = anyjob("run", "-b", "local", "--name", ODD, "--", "sh", "-c", "pwd; exit 3")
    assert (run.returncode, run.stdout) == (3, os.fsencode(odd) + b"\n"), run.stderr
    for command in ("show", "logs", "wait", "result", "cancel", "rerun"):
        done = anyjob(command, ODD)
        assert done.returncode == {"wait": 3, "result": 3, "rerun": 3}.get(command, 0), (command, done.stderr)
    sweep = anyjob("run", "-b", "local", str(odd / "jobs.toml"))
    assert sweep.returncode == 0, sweep.stderr
    unknown = anyjob("cancel", ODD + "x")
    assert (unknown.returncode, unknown.stderr[:26]) == (125, b"anyjob: error: no job 'caf")


def test_an_interpreter_and_a_backend_of_any_name(odd: Path) -> None:
    """A backend is known by its options, whatever characters are in them."""
    (odd / "python").symlink_to(sys.executable)
    known = {"l": {"type": "local", "python": str(odd / "python")}}
    for _ in range(2):
        registry = Registry()
        registry.register_backend("local", LocalBackend)
        with Session(Config.from_dict({"backends": known}), registry, state=odd / "state") as session:
            backend: Any = session.get_backend("l")
            numbers = {backend.recorder.number}
            with pytest.raises(UnknownNameError, match="no backend is called"):
                session.jobs(backend=ODD)
    assert numbers == {1}


# --- streams that were closed -------------------------------------------------------------------

CLOSED = ["0<&-", "1>&-", "2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "-b", "local", "--", "sh", "-c", "echo said; echo y >&2; exit 3"], 3),
        (["jobs"], 0),
        (["--help"], 0),
        (["plugins", "check", "anyjob"], 0),
        (["show", "nothing"], 125),
    ],
)
def test_the_command_line_works_without_some_of_its_streams(
    closed: str, arguments: list[str], code: int, module_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """issue 14, 15: 'NoneType' object has no attribute 'isatty'."""
    monkeypatch.setenv("ANYJOB_STATE", str(module_state))
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *PROGRAM, *arguments], capture_output=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert b"fault of a plugin" not in done.stderr
    assert bool(done.stdout) == (arguments[0] != "show" and "1>&-" not in closed)


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("backend", ["processes", "threads", "inline"])
def test_calls_and_programs_run_without_some_of_the_streams(
    closed: str, backend: str, tmp_path: Path
) -> None:
    """What a worker is spoken to over must not have the number of one of its streams."""
    code = (
        "import anyjob, os, sys; from anyjob import Call, Command\n"
        f"backend = anyjob.get_backend({backend!r})\n"
        "call, program = backend.run(Call(abs, (-5,))), backend.run(Command(['echo', 'x']))\n"
        "came = call.result(60), program.result(60).stdout.text()\n"
        "backend.close()\n"
        f"open({str(tmp_path / 'came')!r}, 'w').write(repr(came))\n"
    )
    subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", code], timeout=60)
    assert (tmp_path / "came").read_text() == "(5, 'x\\n')"


# --- a working directory that was removed -------------------------------------------------------


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    monkeypatch.chdir(directory)
    directory.rmdir()


def test_work_that_names_its_directory_needs_no_other(gone: None, tmp_path: Path) -> None:
    """issue 14, 15."""
    with running(tmp_path) as own:
        named = own.backend.run(Command(["pwd"], cwd=str(tmp_path)))
        assert named.result(60).stdout.text() == f"{tmp_path}\n"
        (again,) = own.session.rerun([named])
        assert again.result(60).stdout.text() == f"{tmp_path}\n"
        for work in (Command(["pwd"]), Command(["pwd"], cwd="."), Call(os.getcwd)):
            with pytest.raises(JobError, match=r"was removed: change into another one.*cwd="):
                own.backend.run(work)
        assert not list(own.paths.environments.iterdir())


@pytest.mark.parametrize("arguments", [["run", "jobs.toml"], ["new-plugin", "acme", "--backend", "acme"]])
def test_relative_paths_say_that_the_directory_is_gone(gone: None, arguments: list[str]) -> None:
    done = invoke(*arguments)
    assert done.stderr == (
        "anyjob: error: the working directory was removed: change into another one, or give whole paths\n"
    )


# --- a directory for sockets that is somebody else's --------------------------------------------


def test_sockets_are_below_the_state_where_their_directories_are_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """issue 14, 15: cron, su, containers."""
    shared, session = tmp_path / "tmp", tmp_path / "user"
    for directory in (shared, session):
        directory.mkdir()
    monkeypatch.setattr(statedir, "SHARED", str(shared))
    monkeypatch.setattr(statedir, "LONGEST_ROOT", 200)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    state = tmp_path / "state"
    assert runtime_directory(state, "host").parent == session / "anyjob"
    (session / "anyjob").chmod(0o777)
    theirs = shared / f"anyjob-{os.getuid()}"
    assert runtime_directory(state, "host").parent == theirs
    theirs.chmod(0o777)
    assert runtime_directory(state, "host").parent == state / "run"
    monkeypatch.setattr(statedir, "LONGEST_ROOT", len(str(theirs)))
    with pytest.raises(StateError, match=r"others may write to .*more than \d+ bytes; set XDG_RUNTIME_DIR"):
        runtime_directory(tmp_path / ("long" * 20), "host")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
def test_root_by_su_puts_nothing_into_the_session_of_the_user_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "user"
    session.mkdir(mode=0o700)
    os.chown(session, 4711, 4711)
    monkeypatch.setattr(statedir, "SHARED", str(tmp_path))
    monkeypatch.setattr(statedir, "LONGEST_ROOT", 200)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    assert runtime_directory(tmp_path / "state", "host").parent == tmp_path / f"anyjob-{os.getuid()}"
    assert not list(session.iterdir())


def test_a_recorded_directory_that_somebody_else_has_now_is_left(tmp_path: Path) -> None:
    local = Local(tmp_path)
    local.session.close()
    before = local.paths.runtime
    before.chmod(0o777)
    (local.paths.logs / "runtime").write_bytes(os.fsencode(before))
    try:
        after = type(local.paths)(local.state).runtime
    except StateError:
        pytest.fail("it is used, though others may write to it")
    finally:
        before.chmod(0o700)
    assert after != before


def test_a_copy_of_a_state_directory_has_daemons_of_its_own(tmp_path: Path) -> None:
    """Work handed to the copy waited without an end: the supervisor of the original was told of it."""
    with running(tmp_path) as own:
        runs = own.backend.run(Command(["cat", own.fifo]))
        until(runs.running, "it runs")
        other = tmp_path / "other"
        shutil.copytree(own.state, other / "state")
        with running(other) as copy:
            assert copy.paths.runtime != own.paths.runtime
            assert copy.backend.run(Call(abs, (-1,))).result(60) == 1
            lost = copy.session.get_job(runs.job_id())
            assert lost.outcome(60).reason == "lost"
            assert copy.supervisor != own.supervisor
        assert runs.running(), "that of the original is left alone"
        Path(own.fifo).write_text("go on")
        assert runs.result(60).exit_code == 0


def test_a_state_directory_that_is_called_otherwise_is_the_same(tmp_path: Path) -> None:
    local = Local(tmp_path)
    local.session.close()
    before = local.paths.runtime
    (tmp_path / "link").symlink_to(local.state)
    assert RuntimePaths(tmp_path / "link").runtime == before
    (tmp_path / "link").unlink()
    local.state.rename(tmp_path / "moved")
    assert RuntimePaths(tmp_path / "moved").runtime == before


# --- the end of the program -------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("arguments", [["--version"], ["cancel", "0000000"]])
def test_what_others_have_registered_for_the_end_is_called(
    when: str, arguments: list[str], tmp_path: Path
) -> None:
    register = "import atexit, threading; atexit.register(print, 'the end')"
    program = {
        "before": f"{register}\nfrom anyjob.__main__ import main; main()",
        "after": f"from anyjob import cli; from anyjob.__main__ import main; first = cli.main\n"
        f"def mine():\n    {register}\n    threading.Timer(0.2, print, ['a thread']).start(); first()\n"
        "cli.main = mine; main()",
    }[when]
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    plain = subprocess.run(
        [sys.executable, "-m", "anyjob", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    told = ["a thread", "the end"] if when == "after" else ["the end"]
    assert done.stdout.splitlines() == [*plain.stdout.splitlines(), *told]
    assert (done.returncode, done.stderr) == (plain.returncode, plain.stderr)


def test_output_that_cannot_be_written_is_told_at_the_end() -> None:
    program = "import sys; from anyjob import cli; from anyjob.__main__ import main\n"
    program += "cli.main = lambda: (print('x'), sys.exit(3)); main()"
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode == 120
    assert b"No space left" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["backends", "list"]])
def test_a_full_disk_is_told_by_its_name_whatever_writes_to_it(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "anyjob", *arguments], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    said = "anyjob: error: what was to be told cannot be written: the disk is full (No space left on device)"
    assert (done.returncode, done.stderr.decode().splitlines()) == (125, [said])


# --- Ctrl-C, wherever it comes ------------------------------------------------------------------

INTERRUPT_IN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0], where = "anyjob", os.path.join("anyjob", sys.argv.pop(1))
def seen(frame, event, argument):
    if frame.f_code.co_filename.endswith(where):
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)
from anyjob.cli import main
sys.setprofile(seen)
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "cli/app.py",
        "errors.py",
        "cli/run/command.py",
        "session/facade.py",
        "config/layers/merging.py",
        "registry/lookup.py",
        "ledger/file/statedir.py",
        "builtin/local/client.py",
    ],
)
def test_whatever_ctrl_c_interrupts_there_is_an_exit_code_and_no_traceback(
    module: str, module_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """issue 14, 15: KeyboardInterrupt at every step."""
    monkeypatch.setenv("ANYJOB_STATE", str(module_state))
    arguments = ["run", "-b", "local", "--", "sleep", "0.1"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT_IN, module, *arguments], capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (130, b"")


INTERRUPT_AT = """
import os, signal, sys
at = sys.argv.pop(1)

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == at:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from MODULE import NAME
if at == "the script":
    os.kill(os.getpid(), signal.SIGINT)
NAME()
"""
"""What an installer makes of the entry point, where Ctrl-C comes at the first import of one module."""


@pytest.mark.parametrize("at", ["anyjob.cli", "the script", "anyjob.cli.app", "click"])
def test_ctrl_c_at_the_programs_first_imports_is_an_exit_code_and_no_traceback(at: str) -> None:
    """issue 14, 15: the first of them were not in a `try` of ours."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["anyjob"].partition(":")
    script = INTERRUPT_AT.replace("MODULE", module).replace("NAME", name)
    done = subprocess.run([sys.executable, "-c", script, at, "--help"], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", script, at, "--version"]
    done = subprocess.run(ignoring, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")

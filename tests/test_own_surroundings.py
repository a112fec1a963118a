"""`env` and `cwd` of a call, `stdout` and `stderr` of a program: kept, or refused when it is handed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from right_calls import RightCallsBackend
from running_local import Local, running

from anyjob import Call, Command, SpecError, UnsupportedSpecError
from anyjob.builtin.inline import InlineBackend
from anyjob.builtin.processes import ProcessesBackend
from anyjob.builtin.threads import ThreadsBackend

LONG = 60
POOLS: dict[str, Any] = {"inline": InlineBackend, "threads": ThreadsBackend, "processes": ProcessesBackend}


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path) as made:
        yield made


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    if request.param == "local":
        yield request.getfixturevalue("local").backend
        return
    made = POOLS[request.param].from_options(request.param, {})
    yield made
    made.close()


every = pytest.mark.parametrize("backend", [*POOLS, "local"], indirect=True)
apart = pytest.mark.parametrize("backend", ["processes", "local"], indirect=True)
shared = pytest.mark.parametrize("backend", ["inline", "threads"], indirect=True)


def look() -> tuple[str, str | None]:
    return os.getcwd(), os.environ.get("STAGE")


@apart
def test_a_call_has_an_environment_and_a_directory_of_its_own(backend: Any, tmp_path: Path) -> None:
    own = Call(look, env={"STAGE": "two"}, cwd="sub")
    jobs = backend.run_many([own, Call(look), Call(look, env={"STAGE": "three"})])
    seen = [job.result(timeout=LONG) for job in jobs]
    here = str(tmp_path)
    assert seen == [(f"{here}/sub", "two"), (here, None), (here, "three")]
    assert (jobs[0].spec().env, jobs[0].spec().cwd) == ({"STAGE": "two"}, f"{here}/sub")


@apart
def test_a_variable_of_a_call_is_set_before_what_it_calls_is_loaded(backend: Any, tmp_path: Path) -> None:
    (tmp_path / "module_with_a_setting.py").write_text("import os\nSETTING = os.environ.get('STAGE')\n")
    job = backend.run(
        Call("builtins:exec", ("import sys; sys.path.insert(0, '')\nimport module_with_a_setting as m\n"
                               "assert m.SETTING == 'two', m.SETTING",), env={"STAGE": "two"})
    )  # fmt: skip
    assert job.exception(timeout=LONG) is None


@apart
def test_a_directory_of_a_call_that_is_not_there_fails_it(backend: Any) -> None:
    error = backend.run(Call(look, cwd="/no/such")).exception(timeout=LONG)
    assert isinstance(error, FileNotFoundError)
    assert "/no/such" in str(error)


def test_a_call_of_another_process_keeps_what_it_had(local: Local) -> None:
    job = local.backend.run(Call(look, env={"STAGE": "two"}, cwd=str(local.root)))
    with local.another() as other:
        found = other.get_job(job.job_id())
        assert (found.spec().env, found.spec().cwd) == ({"STAGE": "two"}, str(local.root))
        (again,) = other.rerun([found])
        assert again.result(timeout=LONG) == (str(local.root), "two")


@shared
def test_calls_that_share_a_process_have_none_of_their_own(backend: Any) -> None:
    for call in (Call(look, env={"STAGE": "two"}), Call(look, cwd="sub")):
        with pytest.raises(UnsupportedSpecError, match="leave out env and cwd of the Call"):
            backend.run(call)
    assert backend.jobs() == []


def test_a_backend_that_says_nothing_of_it_refuses() -> None:
    backend = RightCallsBackend.from_options("calls", {})
    with pytest.raises(UnsupportedSpecError, match="leave out env and cwd"):
        backend.run(Call(look, cwd="/"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Call(look, env={"A=B": "c"}), "cannot be the name"),
        (lambda: Call(look, env={"A": "b\0"}), "of a Call holds a NUL byte"),
        (lambda: Call(look, cwd="a\0b"), "cwd of a Call holds a NUL byte"),
        (lambda: Command(["true"], stdout=""), "one that was given is empty"),
        (lambda: Command(["true"], stderr=3), "stderr of a Command is 3"),  # type: ignore[arg-type]
    ],
)
def test_what_could_be_set_nowhere_is_refused(call: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        call()


@every
def test_a_program_writes_to_the_files_that_it_names(backend: Any, tmp_path: Path) -> None:
    (tmp_path / "sub" / "out").write_text("what was there before, which is longer")
    script = ["sh", "-c", "echo out; echo else >&2"]
    job = backend.run(Command(script, cwd="sub", stdout="out", stderr=str(tmp_path / "else")))
    result = job.result(timeout=LONG)
    assert (tmp_path / "sub" / "out").read_text() == "out\n"
    assert (tmp_path / "else").read_text() == "else\n"
    assert result.stdout.path == tmp_path / "sub" / "out"
    assert (result.stdout.text(), result.stderr.bytes()) == ("out\n", b"else\n")
    assert list(job.logs(follow=True)) == ["out\n"]
    before = os.umask(0)
    os.umask(before)
    assert (tmp_path / "else").stat().st_mode & 0o777 == 0o666 & ~before

    backend.run(Command(script, stdout="both", stderr="both")).result(timeout=LONG)
    assert sorted((tmp_path / "both").read_text().split()) == ["else", "out"]


@every
def test_a_file_that_cannot_be_written_is_named(backend: Any, tmp_path: Path) -> None:
    job = backend.run(Command(["true"], stderr="no/such/file"))
    job.wait_for_final_state(LONG)
    outcome = job.outcome()
    assert (outcome.reason, outcome.exit_code) == ("exit-code", 126)
    assert str(tmp_path / "no/such/file") in outcome.message


def test_a_program_that_runs_as_a_call_writes_to_its_file(tmp_path: Path) -> None:
    backend = RightCallsBackend.from_options("calls", {})
    path = tmp_path / "out"
    job = backend.run(Command(["echo", "hello"], stdout=str(path)))
    assert job.result(timeout=LONG).stdout.text() == ""
    assert path.read_text() == "hello\n"


def test_a_pipe_that_nobody_reads_does_not_stop_the_keeper(local: Local, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    job = local.backend.run(Command(["true"], stdout=str(tmp_path / "pipe")))
    job.wait_for_final_state(LONG)
    assert job.outcome().exit_code == 126
    assert local.backend.run(Command(["true"])).result(timeout=LONG).exit_code == 0

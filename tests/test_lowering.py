"""The way from a kind of work to what a backend accepts, and back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.running_backends import CallsOnly, CommandsOnly
from support.scripted_backends import ScriptedEngine

from anyjob import Session
from anyjob.backend import BackendConfiguration
from anyjob.errors import (
    CommandFailedError,
    JobFailedError,
    RemoteError,
    SpecError,
    UnknownNameError,
    UnsupportedSpecError,
)
from anyjob.job import JobStatus
from anyjob.jobtypes import CommandJob, PythonJob
from anyjob.runtime.lowering import find_route, lower_along
from anyjob.specs import Call, Command, File, Spec
from anyjob.taskjob import TaskJob


class Report(Spec, frozen=True, tag="acme.report"):
    """A third party's kind: becomes a sheet, which becomes a call."""

    title: str
    source: File | None = None


class Sheet(Spec, frozen=True, tag="acme.sheet"):
    rows: list[str]


class ReportJob(TaskJob):
    spec_type = Report
    lowers_to = ("acme.sheet",)

    @classmethod
    def lower(cls, spec: Report, to: str) -> Spec:
        assert to == "acme.sheet"
        return Sheet([spec.title, (spec.source.content or b"").decode() if spec.source else ""])

    @classmethod
    def lift(cls, spec: Report, to: str, value: Any) -> Any:
        return {"title": spec.title, "via": to, "sheet": value}


class SheetJob(TaskJob):
    spec_type = Sheet
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Sheet, to: str) -> Spec:
        return Call("|".join, (spec.rows,))

    @classmethod
    def lift(cls, spec: Sheet, to: str, value: Any) -> Any:
        return [value]


TYPES: dict[str, Any] = {
    "command": CommandJob,
    "python": PythonJob,
    "acme.report": ReportJob,
    "acme.sheet": SheetJob,
}


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        session.registry.register_job_type("acme.report", ReportJob)
        session.registry.register_job_type("acme.sheet", SheetJob)
        yield session


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[CommandsOnly]:
    backend = CommandsOnly.at(tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def calls() -> Iterator[CallsOnly]:
    backend = CallsOnly(BackendConfiguration("calls"))
    yield backend
    backend.close()


# --- routes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "accepts", "shared", "route"),
    [
        ("python", {"python", "command"}, False, ("python",)),
        ("command", {"python"}, False, ("command", "python")),
        ("python", {"command"}, True, ("python", "command")),
        ("acme.report", {"python", "command"}, True, ("acme.report", "acme.sheet", "python")),
        ("acme.report", {"command"}, True, ("acme.report", "acme.sheet", "python", "command")),
        ("acme.report", {"acme.sheet", "python"}, False, ("acme.report", "acme.sheet")),
    ],
)
def test_the_shortest_way_is_taken(
    kind: str, accepts: set[str], shared: bool, route: tuple[str, ...]
) -> None:
    assert find_route(kind, accepts, TYPES.__getitem__, shared_files=shared) == route


def test_no_way_names_what_is_accepted_and_where_each_way_ended() -> None:
    with pytest.raises(UnsupportedSpecError) as caught:
        find_route("acme.report", {"circuit", "acme.other"}, TYPES.__getitem__, shared_files=True)
    said = str(caught.value)
    assert "no way from work of kind 'acme.report' to what is accepted (acme.other, circuit)" in said
    with pytest.raises(
        UnsupportedSpecError, match="'python' lowers to 'command' only where the backend shares"
    ):
        find_route("python", {"command"}, TYPES.__getitem__, shared_files=False)

    class Lonely(TaskJob):
        spec_type = Sheet

    with pytest.raises(UnsupportedSpecError, match=r"\(nothing\): 'x' lowers to nothing else"):
        find_route("x", set(), {"x": Lonely}.__getitem__, shared_files=True)


def test_a_kind_whose_plugin_is_missing_is_told_as_such() -> None:
    def job_type(kind: str) -> Any:
        if kind == "acme.sheet":
            raise UnknownNameError("nobody answers to 'acme.sheet'")
        return TYPES[kind]

    with pytest.raises(
        UnsupportedSpecError, match=r"'acme\.report' lowers to 'acme\.sheet', which cannot be used: nobody"
    ):
        find_route("acme.report", {"python"}, job_type, shared_files=True)
    with pytest.raises(UnknownNameError):
        find_route("acme.sheet", {"python"}, job_type, shared_files=True)


def test_kinds_that_lower_to_each_other_end() -> None:
    with pytest.raises(UnsupportedSpecError):
        find_route("command", {"circuit"}, TYPES.__getitem__, shared_files=True)


def test_one_name_for_a_tuple_of_names_is_understood() -> None:
    class One(TaskJob):
        spec_type = Sheet
        lowers_to = "python"  # type: ignore[assignment]

    types = {**TYPES, "x": One}
    assert find_route("x", {"python"}, types.__getitem__, shared_files=False) == ("x", "python")


def test_a_step_that_fails_is_named() -> None:
    class Liar(SheetJob):
        @classmethod
        def lower(cls, spec: Sheet, to: str) -> Spec:
            return Command(["x"])

    class Broken(SheetJob):
        @classmethod
        def lower(cls, spec: Sheet, to: str) -> Spec:
            raise KeyError("rows")

    class Lazy(TaskJob):
        spec_type = Sheet
        lowers_to = ("python",)

    for step, error, says in (
        (Liar, UnsupportedSpecError, r"Liar.lower\(\) was to give a spec of kind 'python', and gave Command"),
        (Broken, SpecError, r"Broken.lower\(\) from 'acme.sheet' to 'python' raised KeyError: 'rows'"),
        (Lazy, UnsupportedSpecError, "Lazy declares that it lowers to 'python', and does not"),
    ):
        types: dict[str, Any] = {**TYPES, "acme.sheet": step}
        with pytest.raises(error, match=says):
            lower_along(Sheet(["a"]), ("acme.sheet", "python"), types.__getitem__)


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
def test_a_third_kind_lowers_in_two_steps_and_is_lifted_back(
    session: Session, tmp_path: Path, name: str
) -> None:
    source = tmp_path / "s.txt"
    source.write_text("from a file")
    job = session.get_backend(name).run(Report("Q3", source))  # type: ignore[arg-type]
    source.write_text("changed since")
    assert type(job) is ReportJob
    assert job.spec().title == "Q3"
    assert job.metadata()["route"] == ["acme.report", "acme.sheet", "python"]
    assert job.result() == {"title": "Q3", "via": "acme.sheet", "sheet": ["Q3|from a file"]}


def test_a_third_kind_goes_all_the_way_to_a_command(session: Session, commands: CommandsOnly) -> None:
    commands.services = session.services
    job = commands.run(Report("Q3"))
    assert job.metadata()["route"] == ["acme.report", "acme.sheet", "python", "command"]
    assert job.result()["sheet"] == ["Q3|"]


def test_a_backend_that_cannot_run_it_says_what_it_accepts(session: Session) -> None:
    backend = ScriptedEngine.make("hpc", accepts=frozenset({"acme.report"}))
    backend.services = session.services
    with pytest.raises(
        UnsupportedSpecError, match=r"backend 'hpc': no way from work of kind 'python'.*acme.report"
    ):
        backend.run(Call(len, ((),)))
    assert backend.launched == []
    assert backend.jobs() == []


# --- python as a command --------------------------------------------------------------------------


def double(x: int) -> int:
    print("doubling", x)
    return 2 * x


def fail(kind: str) -> None:
    if kind == "exit":
        sys.exit(5)
    if kind == "_exit":
        os._exit(3)
    if kind == "silent":
        os._exit(0)
    raise ValueError(kind)


def test_a_call_runs_as_a_command_by_the_runner(commands: CommandsOnly) -> None:
    job = commands.run(Call(double, (21,)), name="twice")
    assert job.result() == 42
    assert job.metadata()["route"] == ["python", "command"]
    assert list(job.logs()) == ["doubling 21\n"]
    outcome = job.outcome()
    assert outcome.host == os.uname().nodename
    assert outcome.started is not None
    assert outcome.finished is not None
    assert outcome.started <= outcome.finished


def test_what_a_call_raises_in_the_runner_comes_back(commands: CommandsOnly) -> None:
    job = commands.run(Call(fail, ("oh",)))
    with pytest.raises(ValueError, match="oh") as caught:
        job.result()
    assert isinstance(caught.value.__cause__, RemoteError)
    assert "in fail" in caught.value.__cause__.traceback
    assert job.outcome().reason == "exception"
    assert "ValueError: oh" in "".join(job.logs("stderr"))


def test_a_call_that_ends_its_process_in_the_runner(commands: CommandsOnly) -> None:
    left, killed, silent = commands.map(fail, ["exit", "_exit", "silent"])
    assert (left.outcome().reason, left.outcome().exit_code) == ("exit-code", 5)
    with pytest.raises(CommandFailedError, match="exit code 3"):
        killed.result()
    with pytest.raises(JobFailedError, match="left no result"):
        silent.result()


def test_the_runner_finds_what_the_caller_can_import(
    commands: CommandsOnly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def answer():\n    return 42\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        job = commands.run(Call("only_here:answer"))
    assert job.result() == 42


def test_what_the_runner_leaves_must_be_ours(commands: CommandsOnly, tmp_path: Path) -> None:
    """A link laid into the spool is not followed, since what is read there is unpickled."""
    job = commands.run(Call(double, (1,)))
    assert job.result() == 2
    spool = tmp_path / job.job_id()
    (spool / "outcome.pkl").rename(tmp_path / "elsewhere")
    (spool / "outcome.pkl").symlink_to(tmp_path / "elsewhere")
    assert commands.collect([job._record.ticket()]) == {}


def test_the_runner_needs_nothing_of_anyjob(tmp_path: Path) -> None:
    """It is sent along to where anyjob is not installed."""
    import pickle
    import shutil
    import subprocess

    from anyjob.standalone import runner

    (tmp_path / "files").mkdir()
    shutil.copy(runner.__file__, tmp_path / "files")
    payload = pickle.dumps(([], pickle.dumps((pow, (2, 5), {}))))
    (tmp_path / "files" / "payload.pkl").write_bytes(payload)
    subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "files" / "runner.py")],
        env={"ANYJOB_SPOOL": str(tmp_path)},
        check=True,
    )
    said = pickle.loads((tmp_path / "outcome.pkl").read_bytes())
    assert said["status"] == "DONE"
    assert pickle.loads(said["value"]) == 32


# --- a command as python --------------------------------------------------------------------------


def test_a_command_runs_as_a_call(calls: CallsOnly, tmp_path: Path) -> None:
    script = 'cat; cat "$ANYJOB_SPOOL/files/x"; pwd; echo "$V" >&2'
    command = Command(
        ["sh", "-c", script],
        env={"V": "a  b"},
        cwd=str(tmp_path),
        stdin=File("in", b"read, "),
        files={"x": File("x", b"laid\n")},
    )
    result = calls.run(command).result()
    assert result.exit_code == 0
    assert result.stdout.text() == f"read, laid\n{tmp_path}\n"
    assert list(result.stdout) == ["read, laid\n", f"{tmp_path}\n"]
    assert result.stderr.bytes() == b"a  b\n"
    assert result.stdout.path is None


def test_a_command_that_fails_as_a_call(calls: CallsOnly) -> None:
    job = calls.run(Command(["sh", "-c", "echo oh dear >&2; exit 3"]))
    with pytest.raises(CommandFailedError) as caught:
        job.result()
    assert (caught.value.exit_code, caught.value.reason) == (3, "exit-code")
    assert caught.value.stderr == "oh dear\n"
    assert (job.outcome().status, job.outcome().exit_code) == (JobStatus.ERROR, 3)


def test_a_command_that_is_killed_or_not_there_as_a_call(calls: CallsOnly) -> None:
    killed = calls.run(Command(["sh", "-c", "kill -9 $$"]))
    with pytest.raises(JobFailedError, match="SIGKILL") as caught:
        killed.result()
    assert caught.value.reason == killed.outcome().reason == "signal"
    with pytest.raises(CommandFailedError, match="'no-such-program' is not there, nor anywhere on PATH"):
        calls.run(Command(["no-such-program"])).result()


def test_a_lowered_spec_of_a_third_kind_keeps_its_files(tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.write_text("now")
    first, second = lower_along(Report("t", source), ("acme.report", "acme.sheet"), TYPES.__getitem__)  # type: ignore[arg-type]
    assert isinstance(first, Report)
    assert first.source is not None
    assert first.source.content == b"now"
    assert second == Sheet(["t", "now"])

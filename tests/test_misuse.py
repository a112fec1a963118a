"""What is given in place of jobs, or is too long, is told in words, with what helps."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

import anyjob
from anyjob import aio
from anyjob.builtin.configured_batch.backend import ConfiguredBackend
from anyjob.builtin.local.backend import LocalBackend
from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.keeper.launch.errors import StartFailed
from anyjob.builtin.local.keeper.launch.program import Spawner
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.keepers.keeper_link import KeeperLink
from anyjob.config.options import alternatives, validate_options


@pytest.fixture
def session(tmp_path: Path) -> Iterator[anyjob.Session]:
    with anyjob.Session(anyjob.Config.from_dict({"default_backend": "inline"}), state=tmp_path) as made:
        yield made


TAKERS: list[Callable[[anyjob.Session, Any], Any]] = [
    lambda session, jobs: anyjob.wait(jobs, timeout=1),
    lambda session, jobs: anyjob.as_completed(jobs, timeout=1),
    lambda session, jobs: aio.as_completed(jobs),
    lambda session, jobs: session.cancel(jobs),
    lambda session, jobs: session.hold(jobs),
    lambda session, jobs: session.rerun(jobs),
    lambda session, jobs: session.set_priority(jobs, 1),
]


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("3f2", "jobs are taken as a list, not '3f2'; get_job(id) gives the one of an id"),
        (None, "jobs are taken as a list, not None"),
        (["3f2"], "'3f2' is no job: get_job(id) gives the one of an id or a name"),
        ([None], "None is no job"),
    ],
)
def test_what_is_no_job_is_told(
    session: anyjob.Session, take: Callable[[anyjob.Session, Any], Any], given: Any, said: str
) -> None:
    with pytest.raises(TypeError) as caught:
        take(session, given)
    assert said in str(caught.value)


@pytest.mark.parametrize("take", TAKERS)
def test_a_single_job_is_to_be_put_into_a_list(
    session: anyjob.Session, take: Callable[[anyjob.Session, Any], Any]
) -> None:
    job = session.run(abs, -1)
    with pytest.raises(TypeError, match=r"give \[job\] for a single one"):
        take(session, job)


@pytest.mark.parametrize("given", [3, b"x", [], {}, object()])
def test_what_is_neither_a_name_nor_a_backend_is_told(session: anyjob.Session, given: Any) -> None:
    work = anyjob.Command(["true"])
    for use in (
        lambda: session.get_backend(given),
        lambda: session.run(work, backend=given),
        lambda: session.get_job("3f2", given),
        lambda: session.limit("fit", 1, backend=given),
        lambda: asyncio.run(aio.run_many([work], given, session=session)),
        lambda: anyjob.Executor(given),
    ):
        with pytest.raises(anyjob.UnknownNameError, match="a backend is named by text"):
            use()
    with pytest.raises(anyjob.UnknownNameError, match="a provider is named by text"):
        session.get_provider(given)
    with pytest.raises(anyjob.UnknownNameError, match="a kind of work is named by text"):
        session.get_job_type(given)


@pytest.mark.parametrize("given", [4711, None, object(), []])
def test_what_is_no_id_is_told(session: anyjob.Session, given: Any) -> None:
    """It was told as a ledger that cannot be used and had better be moved away."""
    local = session.get_backend("local")
    for use in (
        lambda: session.get_job(given),
        lambda: local.attach(given),
        lambda: local.retrieve_job(given),
    ):
        with pytest.raises(anyjob.SpecError, match="a job is named by"):
            use()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: anyjob.Command(None), "the program and its arguments of a Command are a list, not None"),  # type: ignore[arg-type]
        (lambda: anyjob.Command(["x"], env=["A"]), r"the variables of a Command are a mapping .*not \['A'\]"),  # type: ignore[arg-type]
        (lambda: anyjob.Command(["x"], files=["A"]), "the files of a Command are a mapping"),  # type: ignore[arg-type]
        (lambda: anyjob.Call(len, 3), "the positional arguments of a Call are a list, not 3"),  # type: ignore[call-overload]
        (lambda: anyjob.Call(len, (), [1]), "the keyword arguments of a Call are a mapping"),  # type: ignore[call-overload]
        (lambda: anyjob.Call(dict, (), cast("Any", {1: 2})), "of a Call are named by text, not by 1"),
    ],
)
def test_parts_of_work_of_another_form_are_told(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(anyjob.SpecError, match=said):
        make()


def test_settings_of_another_form_are_told(session: anyjob.Session) -> None:
    with pytest.raises(anyjob.SpecError, match="a limit is of the jobs of a name, which is text, not 3"):
        session.limit(3, 1, backend="local")  # type: ignore[arg-type]
    with pytest.raises(anyjob.ConfigError, match="a configuration is a mapping"):
        anyjob.Config.from_dict(3)  # type: ignore[arg-type]
    with pytest.raises(anyjob.ConfigError, match="a Session takes a Config"):
        anyjob.Session({"default_backend": "inline"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the default session is a Session"):
        anyjob.set_default_session(3)  # type: ignore[arg-type]
    with pytest.raises(anyjob.ConfigError, match="limits: a name in it: expected string, got integer"):
        LocalBackend.from_options("mine", {"limits": {3: 1}})


def test_no_option_takes_more_seconds_than_a_clock_counts() -> None:
    for cls in (LocalBackend, ConfiguredBackend):
        seconds = [
            field for field in msgspec.structs.fields(cls.Options) if float in alternatives(field.type)
        ]
        assert seconds
        for field in seconds:
            with pytest.raises(anyjob.ConfigError, match=rf"{field.encode_name}: expected float <= "):
                validate_options(cls.Options, {field.encode_name: 1e300})


def test_many_are_cancelled_by_a_function_of_the_package(session: anyjob.Session) -> None:
    before = anyjob.default_session()
    anyjob.set_default_session(session)
    try:
        assert anyjob.cancel([]) == []
        assert anyjob.cancel([anyjob.run(abs, -1)]) == [False], "it has ended"
    finally:
        anyjob.set_default_session(before)


def test_a_program_whose_arguments_are_too_long_says_what_helps() -> None:
    with pytest.raises(StartFailed, match=r"Argument list too long: .*put what is long into a file"):
        Spawner().spawn([b"/bin/true", *[b"x" * 100_000] * 90], {}, (0, 1, 2))


def test_work_that_would_take_a_backend_or_a_session_along_is_told_what_to_do(
    session: anyjob.Session,
) -> None:
    backend = session.get_backend("inline")
    with pytest.raises(TypeError, match=r"have the work call anyjob\.get_backend\('inline'\)"):
        pickle.dumps(backend)
    with pytest.raises(TypeError, match="a session belongs to this process"):
        pickle.dumps(session)


def test_nobody_is_told_to_kill_a_keeper_whose_pid_is_not_known(tmp_path: Path) -> None:
    link = KeeperLink(EventLoop(), RuntimePaths(tmp_path), lambda message: None, print)
    assert "kill" not in link.silence()
    link._pid = 4711
    assert "kill -CONT 4711" in link.silence()

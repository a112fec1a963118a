"""What is given in place of jobs, or is too long, is told in words, with what helps."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import anyjob
from anyjob import aio
from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.keeper.launch.errors import StartFailed
from anyjob.builtin.local.keeper.launch.program import Spawner
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.keepers.keeper_link import KeeperLink


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

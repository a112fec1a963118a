"""`anyjob.Executor` over a durable backend: to submit does not wait for the backend."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running
from support.waiting import wait_until

from anyjob import Call, Command, Executor, JobStatus, SerializationError
from anyjob.errors import Refused

LONG = 60


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path) as made:
        made.backend.run(Call(abs, (1,))).result(timeout=LONG)
        yield made


@contextmanager
def busy(local: Local) -> Iterator[None]:
    """Nobody can write to the ledger."""
    with closing(sqlite3.connect(local.state / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def bulks(local: Local) -> int:
    with closing(sqlite3.connect(local.state / "ledger.sqlite")) as db:
        return int(db.execute("SELECT count(*) FROM bulks").fetchone()[0])


def test_an_event_loop_is_not_held_while_the_ledger_is_busy(local: Local) -> None:
    executor, before = Executor(local.backend), bulks(local)

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        with busy(local):
            futures = [loop.run_in_executor(executor, abs, -number) for number in range(200)]
        return await asyncio.gather(*futures)

    assert asyncio.run(main()) == list(range(200))
    assert bulks(local) - before < 10, "what was submitted together is handed over together"


def test_a_call_is_made_as_it_was_submitted(local: Local) -> None:
    with Executor(local.backend) as executor, busy(local):
        listed = [1]
        futures = [executor.submit(sum, listed)]
        listed.append(2)
        for number in range(3):
            futures.append(executor.submit(lambda: number))  # noqa: B023 - that is the point
    assert [future.result(LONG) for future in futures] == [1, 0, 1, 2]


def test_the_job_of_a_future_is_waited_for(local: Local) -> None:
    with Executor(local.backend, tags={"study": "a"}) as executor:
        future = executor.submit(pow, 2, 5)
        other = executor.with_(name="other").submit(pow, 2, 6)
        assert future.job is not None
        assert other.job is not None
        assert local.session.get_job(future.job.job_id()).result(timeout=LONG) == 32
        assert (other.job.metadata()["name"], other.job.metadata()["tags"]) == ("other", {"study": "a"})


def test_what_is_cancelled_before_the_backend_has_it_never_comes_to_be(local: Local) -> None:
    known = len(local.session.jobs())
    with Executor(local.backend) as executor:
        with busy(local):
            first = executor.submit(abs, -1)
            handover = executor._handover
            assert handover is not None
            wait_until(lambda: not handover._waiting)  # its thread waits for the ledger
            futures = [executor.submit(abs, -2) for _ in range(3)]
            assert all(future.cancel() for future in futures)
        assert first.result(LONG) == 1
    assert all(future.cancelled() and future.job is None for future in futures)
    assert len(local.session.jobs()) == known + 1


def test_what_has_not_begun_is_found_and_cancelled_by_few_questions(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by one for each future: 20,000 took seconds."""
    gate = local.backend.run(Command(["sleep", "1000"]), cpus=2)
    wait_until(gate.running)
    executor = Executor(local.backend)
    futures = [executor.submit(abs, -1) for _ in range(50)]
    assert all(future.job for future in futures)
    asked: list[int] = []
    real = type(local.backend).observe

    def observe(backend: Any, tickets: Any) -> Any:
        asked.append(len(tickets))
        return real(backend, tickets)

    monkeypatch.setattr(type(local.backend), "observe", observe)
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in futures)
    assert 1 <= len(asked) < 10, asked
    gate.cancel()


def test_what_cannot_be_handed_over_fails_alone(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    def before_submit(backend: Any, job_id: str, spec: Any, resources: Any) -> None:
        if spec.args == (-2,):
            raise Refused("not that one")

    monkeypatch.setattr(local.backend.services, "before_submit", before_submit)
    with Executor(local.backend) as executor:
        unpicklable = executor.submit(len, (n for n in "ab"))  # type: ignore[arg-type]
        futures = [executor.submit(abs, -number) for number in range(4)]
        assert isinstance(unpicklable.exception(LONG), SerializationError)
        assert unpicklable.job is None
        assert [future.exception(LONG) is None for future in futures] == [True, True, False, True]
        assert "not that one" in str(futures[2].exception())


def test_a_program_that_ends_has_handed_over_before(local: Local) -> None:
    program = local.program(
        "from anyjob import Executor\n"
        "executor = Executor(local.backend, name='left')\n"
        "for number in range(20): executor.submit(pow, number, 2)\n"
    )
    _, errors = program.communicate(timeout=LONG)
    assert (program.returncode, errors) == (0, "")
    jobs = local.session.jobs(name="left")
    assert sorted(job.result(timeout=LONG) for job in jobs) == [n * n for n in range(20)]
    assert {job.status() for job in jobs} == {JobStatus.DONE}

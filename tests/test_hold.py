"""Jobs of `local` that are held, and jobs that are paused: kept in the ledger, whoever ends meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from running_local import Local, running, until

import anyjob
from anyjob import Call, Command, aio
from anyjob.errors import UnsupportedSpecError
from anyjob.job import JobStatus
from anyjob.views.details.description import describe


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path, slots=1) as made:
        yield made


def reason(own: Local, job: Any) -> Any:
    return own.session.ledger.rows([job.job_id()])[job.job_id()].reason


# --- held -----------------------------------------------------------------------------------------


def test_what_is_held_starts_when_it_is_released(own: Local) -> None:
    """Of jobs that wait, some are with the keeper already: these are taken back."""
    first = own.backend.run(Command(["cat", own.fifo]))
    until(first.running, "it runs")
    held = own.backend.map(abs, [-1, -2, -3, -4])
    free = own.backend.run(Call(abs, (-5,)))
    assert own.session.hold([first, *held]) == [False, True, True, True, True]
    assert own.session.hold(held) == [True] * 4  # and once more
    Path(own.fifo).write_text("go on")
    assert free.result(60) == 5
    assert [job.status() for job in held] == [JobStatus.QUEUED] * 4
    assert [reason(own, job) for job in held] == ["held"] * 4
    shown = describe(own.session, own.session.ledger.rows([held[0].job_id()])[held[0].job_id()])
    assert shown["message"] == "is held: `anyjob release` lets it start"
    assert own.session.release([held[1], free]) == [True, False]
    assert held[1].result(60) == 2
    assert own.session.release(held) == [True, False, True, True]
    assert [job.result(60) for job in held] == [1, 2, 3, 4]
    assert [reason(own, job) for job in held] == [None] * 4


@pytest.mark.parametrize("who", ["supervisor", "keeper"])
def test_a_hold_outlives_the_daemons(own: Local, who: str) -> None:
    first = own.backend.run(Command(["cat", own.fifo]))
    until(first.running, "it runs")
    held, free = own.backend.map(abs, [-1, -2])
    assert own.session.hold([held]) == [True]
    own.kill(who)
    Path(own.fifo).write_text("go on") if who == "supervisor" else None
    assert free.result(60) == 2
    assert held.status() is JobStatus.QUEUED
    assert own.session.release([held]) == [True]
    assert held.result(60) == 1


def test_a_held_job_is_cancelled(own: Local) -> None:
    first = own.backend.run(Command(["cat", own.fifo]))
    until(first.running, "it runs")
    held = own.backend.run(Call(abs, (-1,)))
    assert own.session.hold([held]) == [True]
    assert held.cancel()
    until(held.cancelled, "it is cancelled")
    assert own.session.release([held]) == [False]
    Path(own.fifo).write_text("go on")
    first.result(60)


def test_the_same_without_blocking_an_event_loop(own: Local) -> None:
    async def steer() -> None:
        first, waiting = await aio.map(time.sleep, [600, 0], backend=own.backend, name="steered")
        await asyncio.to_thread(until, first.running, "it runs")
        assert await aio.hold([first, waiting]) == [False, True]
        assert await aio.set_priority([waiting], 3) == [True]
        assert await aio.release([waiting]) == [True]
        assert await aio.pause([first]) == [True]
        assert await aio.resume([first]) == [True]
        await aio.cancel(first)
        await waiting
        (again,) = await aio.rerun([waiting], session=own.session, name="again")
        await again
        assert again.metadata()["name"] == "again"
        with pytest.raises(TypeError, match="jobs are taken as a list"):
            await aio.hold(waiting)  # type: ignore[arg-type]

    asyncio.run(steer())


def test_other_backends_say_that_they_cannot(tmp_path: Path) -> None:
    with anyjob.Session(anyjob.Config.from_dict({}), state=tmp_path) as session:
        job = session.get_backend("threads").run(Call(time.sleep, (0.5,)))
        with pytest.raises(UnsupportedSpecError, match="backend 'threads' cannot hold jobs"):
            session.hold([job])


# --- paused ---------------------------------------------------------------------------------------


TREE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
open(sys.argv[1] + str(os.getpid()), "w").close()
while not os.path.exists(sys.argv[1] + "end"):
    time.sleep(0.01)
"""


def processes(own: Local) -> list[psutil.Process]:
    return [psutil.Process(int(path.name[3:])) for path in own.root.glob("is.[0-9]*")]


def test_all_processes_of_a_paused_job_stand_still(own: Local) -> None:
    job = own.backend.run(Command(["python", "-c", TREE, f"{own.root}/is."]))
    late = own.backend.run(Call(abs, (-1,)))
    until(lambda: len(processes(own)) == 2, "both have begun")
    until(job.running, "it is told that it runs")
    assert own.session.pause([job, late]) == [True, False]
    until(lambda: {p.status() for p in processes(own)} == {psutil.STATUS_STOPPED}, "both are stopped")
    assert (job.status(), reason(own, job)) == (JobStatus.RUNNING, "paused")
    own.kill("supervisor")
    assert own.session.resume([job, late]) == [True, False]
    assert reason(own, job) is None
    (own.root / "is.end").touch()
    assert job.result(60).exit_code == 0
    assert late.result(60) == 1  # it had no place meanwhile


def test_a_paused_job_is_cancelled_without_delay(own: Local) -> None:
    """It hears of TERM only when it goes on."""
    script = 'trap "echo told; exit 3" TERM; echo ready; while :; do sleep 0.01; done'
    job = own.backend.run(Command(["sh", "-c", script]))
    out = own.state / "spool" / job.job_id()[:2] / job.job_id() / "stdout"
    until(lambda: out.exists() and out.read_text(), "it has begun")
    until(job.running, "it is told that it runs")
    assert own.session.pause([job]) == [True]
    assert job.cancel()
    until(job.in_final_state, "it has ended")
    assert out.read_text() == "ready\ntold\n"
    assert job.status() is JobStatus.CANCELLED
    assert os.path.exists(out)

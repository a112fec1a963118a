"""Jobs of `local` that submit jobs, and wait for them: others have their places meanwhile."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running_local import SOURCE, TESTS, Local, running, until
from support.ledgers import add, sound_ledger

import anyjob
from anyjob import Call, Command
from anyjob.builtin.local.own_job import OwnJob
from anyjob.builtin.local.process_table import Snapshot
from anyjob.builtin.local.supervisor.requests.lending import Lending
from anyjob.job import JobStatus
from anyjob.runtime.recording.context import current_context
from anyjob.views.details.description import describe

Running = Iterator[Local]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Running:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.syspath_prepend(str(TESTS))
    slots = getattr(request, "param", 2)
    (tmp_path / "slots").write_text(str(slots))
    with running(tmp_path, slots=slots) as made:
        yield made


one_slot = pytest.mark.parametrize("own", [1], indirect=True)


# --- what jobs do -----------------------------------------------------------------------------


def backend(root: Path) -> Any:
    """The backend that this job is one of: with as many slots, for else it would be another."""
    return Local(root, slots=int((root / "slots").read_text())).backend


def fibonacci(root: Path, n: int) -> int:
    if n < 2:
        return n
    here = backend(root)
    jobs = [here.run(Call(fibonacci, (root, less))) for less in (n - 1, n - 2)]
    return sum(job.result() for job in jobs)


def parent(root: Path, how: str) -> Any:
    here = backend(root)
    match how:
        case "result":
            return here.run(Call(os.getpid)).result()
        case "wait":
            return len(anyjob.wait([here.run(Call(os.getpid)) for _ in range(3)]).done)
        case "as_completed":
            return len(list(anyjob.as_completed(here.map(abs, [1, 2, 3]))))
        case "threads":
            with ThreadPoolExecutor(3) as threads:
                return list(threads.map(lambda n: here.run(Call(abs, (n,))).result(), [-1, -2, -3]))
        case "executor":
            return list(anyjob.Executor(here).map(abs, [-1, -2, -3]))
        case "await":
            import asyncio

            async def all_of_them() -> list[int]:
                return list(await asyncio.gather(*here.map(abs, [-1, -2, -3])))

            return asyncio.run(all_of_them())


def waits_for_a_fifo(root: Path, fifo: str) -> str:
    return str(backend(root).run(Command(["cat", fifo])).result().stdout.text())


def waits_then_goes_on(root: Path, fifo: str) -> None:
    """Wait for a child, and then at a fifo."""
    backend(root).run(Call(os.getpid)).result()
    Path(fifo).read_text()


# --- what becomes of them -----------------------------------------------------------------------


def test_a_recursion_ends_on_two_slots(own: Local) -> None:
    assert own.backend.run(Call(fibonacci, (own.root, 5))).result(160) == 5


@one_slot
@pytest.mark.parametrize("how", ["result", "wait", "as_completed", "threads", "executor", "await"])
def test_whichever_way_a_job_waits_its_children_run(own: Local, how: str) -> None:
    assert own.backend.run(Call(parent, (own.root, how))).result(60)


def test_which_job_waits_stands_in_the_environment_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warm worker makes one call after the other: each is another job, of the same backend."""
    said: list[Any] = []
    waits = False
    connection: Any = SimpleNamespace(say=said.append)
    own_job = OwnJob(tmp_path, lambda: waits)
    own_job.connected(connection)
    monkeypatch.setenv("ANYJOB_KEEPER", str(tmp_path))
    for job_id, attempt in (("a1", "1"), ("b2", "3")):
        monkeypatch.setenv("ANYJOB_JOB_ID", job_id)
        monkeypatch.setenv("ANYJOB_ATTEMPT", attempt)
        for now in (True, True, False, False):
            waits = now
            own_job.update()
    waits = True
    own_job.connected(connection)  # a new supervisor knows of none
    monkeypatch.setenv("ANYJOB_KEEPER", "/another")
    own_job.connected(connection)
    waiting, resumed = "waiting", {"op": "resumed"}
    assert said == [
        {"op": waiting, "job": "a1", "attempt": 1},
        resumed,
        {"op": waiting, "job": "b2", "attempt": 3},
        resumed,
        {"op": waiting, "job": "b2", "attempt": 3},
    ]


def test_two_parents_on_two_slots_and_who_comes_after_them(own: Local) -> None:
    parents = [own.backend.run(Call(parent, (own.root, "result"))) for _ in range(6)]
    last = own.backend.run(Command(["true"]))
    assert all(job.result(60) for job in parents)
    last.result(60)


@one_slot
def test_a_command_waits_by_the_command_line(own: Local) -> None:
    script = f'"{sys.executable}" -m anyjob run -b local -- echo child'
    variables = {
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(TESTS)]),
        "ANYJOB_STATE": str(own.state),
        "ANYJOB_BACKENDS__LOCAL__TYPE": "local",
        "ANYJOB_BACKENDS__LOCAL__SLOTS": "1",
    }
    job = own.backend.run(Command(["sh", "-c", script], env=variables))
    assert job.result(60).stdout.text() == "child\n"


@one_slot
def test_the_ledger_says_that_a_job_waits(own: Local) -> None:
    job = own.backend.run(Call(waits_for_a_fifo, (own.root, own.fifo)))
    ledger = own.session.ledger

    def reason() -> Any:
        return ledger.rows([job.job_id()])[job.job_id()].reason

    until(lambda: reason() == "waiting", "it is told that it waits")
    shown = describe(own.session, ledger.rows([job.job_id()])[job.job_id()])
    assert shown["message"] == "waits for its jobs; others have its place meanwhile"
    Path(own.fifo).write_text("go on")
    assert job.result(60) == "go on"
    assert reason() is None


def test_that_a_job_waits_is_said_though_it_is_written_late_that_it_runs(tmp_path: Path) -> None:
    """A start is written later than the job can say that it waits: much later, where the machine is busy."""
    due: list[Any] = []
    loop: Any = SimpleNamespace(call_later=lambda _, call, *arguments: due.append(partial(call, *arguments)))
    scheduler: Any = SimpleNamespace(running=lambda _: [SimpleNamespace(attempt=1)], lend=lambda *_: True)
    keeper: Any = SimpleNamespace(tell=lambda _: None)
    with sound_ledger(tmp_path) as ledger:
        (job_id,) = add(ledger)
        lending = Lending(loop, scheduler, keeper, ledger, "h")
        lending.begin((job_id, 1))
        due.pop(0)()
        assert ledger.rows([job_id])[job_id].reason is None
        ledger.moved([(job_id, JobStatus.RUNNING, 1, 1.0)])
        due.pop(0)()
        assert ledger.rows([job_id])[job_id].reason == "waiting"
        assert not due


@one_slot
def test_a_job_that_goes_on_has_its_place_again(own: Local) -> None:
    fifo = own.fifo
    job = own.backend.run(Call(waits_then_goes_on, (own.root, fifo)))
    with open(fifo, "w"):  # who reads it has gone on, and has told that before
        late = own.backend.run(Command(["true"]))
        assert late.status() is JobStatus.QUEUED
    job.result(60)
    late.result(60)
    assert job.outcome().finished <= late.outcome().started


def own_children(own: Local, job: Any, status: JobStatus) -> list[Any]:
    return [each for each in own.session.jobs() if each.job_id() != job.job_id() and each.status() is status]


@one_slot
@pytest.mark.parametrize("who", ["supervisor", "parent"])
def test_a_death_while_a_job_waits_leaves_no_place_lent(own: Local, who: str) -> None:
    parent = own.backend.run(Call(waits_for_a_fifo, (own.root, own.fifo)))
    until(lambda: own_children(own, parent, JobStatus.RUNNING), "its child runs in its place")
    more = [own.backend.run(Command(["true"])) for _ in range(3)]
    if who == "supervisor":
        own.kill("supervisor")
        own.backend._client.open()
        Path(own.fifo).write_text("go on")
        assert parent.result(60) == "go on"
    else:
        snapshot = Snapshot()
        marks = {pid: snapshot.mark(pid) for pid in snapshot.processes}
        (pid,) = [pid for pid, mark in marks.items() if mark is not None and mark.job_id == parent.job_id()]
        os.kill(pid, signal.SIGKILL)
        until(parent.in_final_state, "the parent is dead")
        assert [job.status() for job in more] == [JobStatus.QUEUED] * 3  # its child has the slot
        Path(own.fifo).write_text("go on")
    for job in more:
        job.result(60)


def has_children(root: Path, fifo: str) -> None:
    """Submit one that reads a fifo, and one that does so by a child of its own; and wait for them."""
    here = backend(root)
    jobs = [here.run(Call(waits_for_a_fifo, (root, fifo))), here.run(Command(["cat", fifo]))]
    anyjob.wait(jobs)


def test_what_a_job_has_submitted_is_cancelled_with_it(own: Local) -> None:
    other = own.backend.run(Command(["cat", own.fifo]))
    job = own.backend.run(Call(has_children, (own.root, own.fifo)))
    until(lambda: len(own.session.jobs()) == 5, "all are there")
    family = [each for each in own.session.jobs() if each not in (other, job)]
    ledger = own.session.ledger
    rows = ledger.rows([each.job_id() for each in family])
    parents = [describe(own.session, row)["parent"] for row in rows.values()]
    assert parents.count(job.job_id()) == 2
    assert job.cancel()
    for each in [job, *family]:
        assert each.outcome(60).status is JobStatus.CANCELLED, each
    assert other.status() is not JobStatus.CANCELLED
    other.cancel()


@pytest.mark.parametrize("kind", ["local", "processes"])
def test_it_is_cancelled_though_its_parent_lives_with_this_program(own: Local, kind: str) -> None:
    above: Any = own.session.get_backend(kind)
    job = above.run(Call(has_children, (own.root, own.fifo)))
    until(lambda: len([each for each in own.session.jobs() if each != job]) == 3, "all are there")
    family = [each for each in own.session.jobs() if each != job]
    assert job.cancel()
    assert {each.outcome(60).status for each in [job, *family]} == {JobStatus.CANCELLED}


def test_what_is_submitted_detached_belongs_to_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_JOB_ID", "f" * 20)

    def parent_of_new() -> str:
        return current_context(("command",), anyjob.Resources()).parent

    with anyjob.detached():
        assert parent_of_new() == ""
        with ThreadPoolExecutor(1) as others:
            assert others.submit(parent_of_new).result() == "f" * 20
    assert parent_of_new() == "f" * 20

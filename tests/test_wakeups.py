"""Who waits for a job is told of its end, though a read, a write or a hook has failed meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running, until
from support.scripted_backends import ScriptedBackend, ScriptedEngine, ScriptedJob
from support.waiting import TIMEOUT, wait_until

import anyjob
from anyjob import BackendConfiguration, Call, Capabilities, Command, Config, JobStatus, Registry, Session
from anyjob.errors import JobError, StateError
from anyjob.orders import Ticket
from anyjob.outcome import Outcome

DONE, RUNNING = JobStatus.DONE, JobStatus.RUNNING
CALL = Call(len, ("x",))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path) as local:
        yield local


def gated(own: Local) -> Any:
    """A job that runs until something is written to the pipe."""
    return own.backend.run(Command(["sh", "-c", "read x < $FIFO"], env={"FIFO": own.fifo}))


class Failing:
    """Stands for a method, which fails so many times before it does what it does."""

    def __init__(self, method: Any, *faults: Exception) -> None:
        self.method = method
        self.faults = list(faults)

    def __call__(self, *arguments: Any) -> Any:
        if self.faults:
            raise self.faults.pop(0)
        return self.method(*arguments)


# --- a ledger that cannot be used for a moment ----------------------------------------------------


@pytest.mark.parametrize("fault", [StateError("the ledger is locked"), OSError(24, "Too many open files")])
def test_a_read_of_the_ledger_that_fails_loses_no_wakeup(
    own: Local, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The supervisor tells of an end once: what could not be read then is read again."""
    job = gated(own)
    until(job.running, "it runs")
    told: list[Any] = []
    job._on_final(told.append)
    until(lambda: own.backend._tracker._watcher._listens, "it is listened to")
    failing = Failing(own.session.ledger.rows, fault, fault, fault)
    monkeypatch.setattr(own.session.ledger, "rows", failing)
    Path(own.fifo).write_text("go\n")
    until(lambda: told, "who waits is told")
    assert told == [DONE]
    assert not failing.faults


def test_a_ledger_that_stays_unreadable_is_told_to_who_waits(
    own: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(own.backend), "grace", 0.2)
    job = gated(own)
    until(job.running, "it runs")
    with monkeypatch.context() as broken:

        def unreadable(job_ids: Sequence[str]) -> Any:
            raise StateError("the ledger is gone")

        broken.setattr(own.session.ledger, "rows", unreadable)
        with pytest.raises(StateError, match="the ledger is gone"):
            job.result(timeout=TIMEOUT)
    Path(own.fifo).write_text("go\n")
    assert job.outcome(TIMEOUT).status is DONE


class OnceOnly(ScriptedEngine):
    """A durable engine that hands over what came of a job once, and forgets it."""

    capabilities = Capabilities(durable=True, find=True)

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        found = dict(super().collect(tickets))
        for ticket in tickets:
            self.outcomes.pop(ticket.native_id, None)
        return found


def seen(job: Any, raised: list[StateError]) -> JobStatus | None:
    try:
        status: JobStatus = job.status()
    except StateError as error:
        raised.append(error)
        return None
    return status


@pytest.mark.parametrize("waits", [True, False])
def test_what_was_handed_over_and_could_not_be_written_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    registry = Registry()
    registry.register_backend("acme", OnceOnly)
    monkeypatch.setattr(OnceOnly, "grace", 3600.0)
    with Session(Config(), registry, tmp_path / "state") as session:
        engine = session.get_backend("acme")
        job = engine.run(CALL)
        monkeypatch.setattr(session.ledger, "settle", Failing(session.ledger.settle, StateError("no space")))
        monkeypatch.setattr(session.ledger, "moved", Failing(session.ledger.moved, StateError("no space")))
        engine.say("n0", RUNNING)
        engine.outcomes["n0"] = Outcome(status=DONE, message="of the engine")
        if waits:
            told: list[Any] = []
            job._on_final(told.append)
            wait_until(lambda: job._record.status is RUNNING)
            engine.say("n0", DONE)
            wait_until(lambda: told)
            assert told == [DONE]
        else:
            raised: list[StateError] = []
            wait_until(lambda: seen(job, raised) is RUNNING)
            engine.say("n0", DONE)
            wait_until(lambda: seen(job, raised) is DONE)
            assert [str(error) for error in raised] == ["no space"] * 2
        assert job.outcome().message == "of the engine"
        row = session.ledger.rows([job.job_id()])[job.job_id()]
        assert row.status is DONE


# --- who begins to wait while others are asked about ----------------------------------------------


def test_who_begins_to_wait_while_a_question_is_under_way_is_asked_for_soon() -> None:
    """What it is about was decided before; the next one at the ceiling would be an hour away."""
    engine = ScriptedEngine.make(ceiling=3600.0, grace=3600.0, capabilities=Capabilities(notifies=True))
    engine.say("n0", RUNNING)
    first = engine.run(CALL)
    observe = engine.observe
    ended = threading.Event()
    later: list[Any] = []

    def slow(tickets: Any) -> Any:
        seen = dict(observe(tickets))
        engine.observe = observe  # type: ignore[method-assign]
        engine.say("n1", DONE)
        later.append(engine.run(CALL))
        later[0]._on_final(lambda said: ended.set())
        return seen

    engine.observe = slow  # type: ignore[method-assign]
    first._on_final(lambda said: None)
    assert ended.wait(TIMEOUT)
    engine.close()


# --- hooks that wait ------------------------------------------------------------------------------


class Waits:
    """A hook that waits for another job, on the thread that it is called by."""

    def __init__(self, how: Any) -> None:
        self.how = how
        self.other: Any = None
        self.got: list[Any] = []

    def anyjob_finished(self, job: Any) -> None:
        if self.other is None or job == self.other or self.got:
            return
        try:
            self.got.append(self.how(self.other))
        except Exception as error:
            self.got.append(error)


HOWS = {
    "result": lambda job: job.result(),
    "wait": lambda job: anyjob.wait([job]),
    "as_completed": lambda job: list(anyjob.as_completed([job])),
    "wait_for_final_state": lambda job: job.wait_for_final_state(),
    "logs": lambda job: list(job.logs(follow=True)),
}


@pytest.mark.parametrize("how", sorted(HOWS))
def test_a_hook_that_waits_on_its_own_watcher_is_told_so(own: Local, how: str) -> None:
    registry = Registry()
    registry.register_backend("local", type(own.backend))
    hook = Waits(HOWS[how])
    registry.hooks.register(hook)
    with Session(Config.from_dict({"backends": {"local": own.options}}), registry, own.state) as session:
        backend = session.get_backend("local")
        hook.other = backend.run(Command(["sh", "-c", "read x < $FIFO"], env={"FIFO": own.fifo}))
        first = backend.run(Command(["true"]))
        until(lambda: hook.got, "the hook has waited")
        assert isinstance(hook.got[0], JobError)
        assert f"waits for job {hook.other.job_id()!r}" in str(hook.got[0])
        assert first.outcome(TIMEOUT).status is DONE
        Path(own.fifo).write_text("go\n")
        assert hook.other.outcome(TIMEOUT).status is DONE


def test_a_callback_that_waits_for_what_its_engine_is_asked_about_is_told_so() -> None:
    engine = ScriptedEngine.make(grace=3600.0)
    for number in range(2):
        engine.say(f"n{number}", RUNNING)
    first, second = engine.run_many([CALL] * 2)
    raised: list[Any] = []

    def wait(said: Any) -> None:
        with pytest.raises(JobError, match="wait on a thread of your own") as error:
            second.result()
        raised.append(error)
        assert first.outcome().status is DONE  # it has ended: there is nothing to wait for

    first._on_final(wait)
    engine.say("n0", DONE)
    wait_until(lambda: raised)
    engine.say("n1", DONE)
    assert second.outcome(TIMEOUT).status is DONE
    engine.close()


def test_a_callback_on_the_thread_that_polls_plain_jobs_is_told_so() -> None:
    """Those of users have threads of their own: see test_done_callbacks."""
    backend = ScriptedBackend(BackendConfiguration("plain"))
    first, second = backend.run(RUNNING), backend.run(RUNNING)
    raised: list[Any] = []

    def wait(job: ScriptedJob) -> None:
        with pytest.raises(JobError, match="would wait for ever") as error:
            anyjob.wait([second])
        raised.append(error)

    first._on_final(lambda said: wait(first))
    first.end()
    wait_until(lambda: raised)
    second.end()
    assert anyjob.wait([second], TIMEOUT).done == [second]


def test_a_hook_may_wait_where_others_tell() -> None:
    """The threads of a pool each tell of their own jobs."""
    registry = Registry()
    hook = Waits(HOWS["result"])
    registry.hooks.register(hook)
    with Session(Config(), registry) as session:
        gate = threading.Event()
        hook.other = session.run(Call(gate.wait, (TIMEOUT,)), "threads")
        session.run(Call(abs, (1,)), "threads")
        gate.set()
        wait_until(lambda: hook.got)
        assert hook.got == [True]

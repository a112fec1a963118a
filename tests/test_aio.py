"""The asyncio twins: nothing blocks the loop, nothing runs on its default executor."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running_local import running, until
from support.scripted_backends import FindingBackend, ScriptedJob, UniformEngine, make

from anyjob import (
    BackendAuthError,
    BackendUnavailableError,
    BaseJob,
    Call,
    Command,
    Config,
    InvalidStatusError,
    JobCancelledError,
    JobError,
    JobNotFoundError,
    JobStatus,
    JobTimeoutError,
    Registry,
    Session,
    aio,
)
from anyjob.builtin.inline import InlineBackend
from anyjob.builtin.local.backend import LocalBackend
from anyjob.builtin.processes import ProcessesBackend
from anyjob.builtin.threads import ThreadsBackend
from anyjob.tracking.threads import offload

DONE, RUNNING = JobStatus.DONE, JobStatus.RUNNING
LONG = 30  # seconds: only ever waited for where something is broken


class NoExecutor(ThreadPoolExecutor):
    """The loop's default executor belongs to the program."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something ran on the loop's default executor")


@pytest.fixture(autouse=True)
async def _no_default_executor() -> None:
    asyncio.get_running_loop().set_default_executor(NoExecutor())


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def threads_backend(gate: threading.Event) -> Iterator[Any]:
    backend = make(ThreadsBackend, slots=4)
    yield backend
    gate.set()
    backend.close()


@pytest.fixture
def session() -> Iterator[Session]:
    registry = Registry()
    registry.register_backend("plain", FindingBackend)
    config = Config.from_dict({"default_backend": "pool", "backends": {"pool": {"type": "threads"}}})
    with Session(config=config, registry=registry) as session:
        yield session


class BlockingJob(BaseJob):
    """Each of its methods blocks until the gate is opened."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__(None, "blocking")
        self.gate = gate

    def submit(self) -> None:
        pass

    def _blocking(self, value: Any) -> Any:
        return value if self.gate.wait(LONG) else pytest.fail("the loop was blocked")

    def result(self) -> Any:
        return self._blocking("result")

    def status(self) -> Any:
        return self._blocking(DONE)

    def cancel(self) -> Any:
        return self._blocking(True)

    def exception(self) -> Any:
        return self._blocking(None)

    def outcome(self) -> Any:
        return self._blocking("outcome")


async def collected(jobs: Any) -> list[Any]:
    return [job async for job in jobs]


BLOCKING: dict[str, Callable[[Any], Any]] = {
    "await": lambda job: job,
    "status": aio.status,
    "cancel": aio.cancel,
    "result": aio.result,
    "result now": lambda job: aio.result(job, 0),
    "exception": aio.exception,
    "outcome": aio.outcome,
    "wait_for_final_state": aio.wait_for_final_state,
    "wait": lambda job: aio.wait([job]),
    "wait now": lambda job: aio.wait([job], 0),
    "as_completed": lambda job: collected(aio.as_completed([job])),
    "as_completed now": lambda job: collected(aio.as_completed([job], 0)),
    "run": lambda job: aio.run(Call(job.status), make(InlineBackend)),
    "call": lambda job: aio.call(job.status),
}


@pytest.mark.parametrize("twin", BLOCKING)
async def test_the_loop_goes_on_while_a_job_blocks(twin: str, gate: threading.Event) -> None:
    """qBraid#942: async result blocked the event loop; #1422, marqov-sdk#69 too."""

    async def heartbeat() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()  # which nobody would, were the loop blocked

    beating = asyncio.create_task(heartbeat())
    await BLOCKING[twin](BlockingJob(gate))
    await beating


async def test_await_gives_the_result(threads_backend: Any) -> None:
    """marqov-sdk#69: async result raised "loop is already running"."""
    assert await threads_backend.run(Call(pow, (2, 5))) == 32
    assert await ScriptedJob(RUNNING, DONE) == "result of 7"
    assert await FindingBackend().run(answers=["QUEUED", DONE]) == "result of p0"


async def test_await_raises_what_the_job_raised(threads_backend: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        await threads_backend.run(Call(divmod, (1, 0)))
    with pytest.raises(KeyError):
        await ScriptedJob(KeyError("status"))
    with pytest.raises(RuntimeError, match="StopIteration"):  # as every coroutine has it
        await threads_backend.run(Call(next, (iter(()),)))


async def test_names_and_work(session: Session) -> None:
    backend = await aio.get_backend("pool", session=session)
    assert backend is session.get_backend("pool")
    assert (await aio.get_backend("threads", session=session, slots=1)).options.slots == 1
    job = await aio.run(Call(pow, (2, 3)), session=session, name="cube")
    assert (job.backend(), job.metadata()["name"], await job) == (backend, "cube", 8)
    assert await aio.get_job(job.job_id()[:8], session=session) == job
    with pytest.raises(JobNotFoundError):
        await aio.get_job("nope", backend, session=session)
    many = await aio.run_many([Call(abs, (-n,)) for n in range(3)], "inline", session=session)
    assert [await aio.result(job) for job in many] == [0, 1, 2]
    mapped = await aio.map(pow, [1, 2, 3], [2, 2, 2], backend=backend, session=session, tags={"a": "b"})
    assert [await job for job in mapped] == [1, 4, 9]
    assert mapped[0].metadata()["tags"] == {"a": "b"}
    assert set(mapped) <= set(await aio.jobs(session=session))
    assert await aio.jobs("nobody", session=session) == []
    assert backend in await aio.backends(session=session, durable=False)


async def test_the_default_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_BACKEND", "inline")
    import anyjob

    anyjob.set_default_session(None)
    try:
        job = await aio.run(Call(pow, (2, 3)))
        assert job.backend() is await aio.get_backend("inline")
        assert await aio.get_job(job.job_id()) == job
        assert [await job for job in await aio.map(abs, [-1])] == [1]
    finally:
        anyjob.default_session().close()
        anyjob.set_default_session(None)


async def test_one_job(threads_backend: Any, gate: threading.Event) -> None:
    held = threads_backend.run(Call(gate.wait, (LONG,)))
    for twin in (aio.result, aio.exception, aio.outcome):
        with pytest.raises(JobTimeoutError, match=held.job_id()):
            await twin(held, timeout=0.01)
        with pytest.raises(JobTimeoutError, match="within 0 s"):
            await twin(held, timeout=0)
    assert await aio.cancel(held) is False  # it runs in a thread
    gate.set()
    assert await aio.result(held, timeout=LONG) is True
    assert await aio.result(held, timeout=0) is True
    assert (await aio.outcome(held)).status is DONE
    assert await aio.exception(held) is None
    assert await aio.status(held) is DONE


async def test_failures_of_one_job(threads_backend: Any) -> None:
    failed = threads_backend.run(Call(divmod, (1, 0)))
    assert isinstance(await aio.exception(failed), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        await aio.result(failed)
    with pytest.raises(InvalidStatusError):
        await aio.status(ScriptedJob("what?"))
    assert await aio.status(ScriptedJob("DONE")) is DONE
    # A status() that runs into a time limit of its own is not our timeout.
    with pytest.raises(TimeoutError, match="socket"):
        await aio.result(ScriptedJob(TimeoutError("socket")), LONG)


async def test_cancel(gate: threading.Event) -> None:
    backend = make(ThreadsBackend, slots=1)
    running, queued = (backend.run(Call(gate.wait, (LONG,))) for _ in range(2))
    assert await aio.cancel(queued) is True
    with pytest.raises(JobCancelledError):
        await queued
    gate.set()
    assert await running is True
    backend.close()


@pytest.mark.parametrize("plain", [False, True])
async def test_to_cancel_an_await_does_not_cancel_the_job(
    threads_backend: Any, gate: threading.Event, plain: bool
) -> None:
    job = ScriptedJob() if plain else threads_backend.run(Call(gate.wait, (LONG,)))
    for twin in (aio.result(job), aio.wait([job]), collected(aio.as_completed([job])), final(job)):
        task = asyncio.create_task(twin)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await aio.status(job) is not JobStatus.CANCELLED
    if plain:
        job.end()
    gate.set()
    await aio.wait_for_final_state(job, LONG)
    assert await aio.status(job) is DONE


async def final(job: Any) -> Any:
    return await job


async def test_waits_over_a_mix(threads_backend: Any, gate: threading.Event) -> None:
    pools = [make(InlineBackend), threads_backend, make(ProcessesBackend, slots=1)]
    jobs = [
        *(backend.run(Call(abs, (-1,))) for backend in pools),
        ScriptedJob(RUNNING, DONE),
        FindingBackend().run(answers=[BackendUnavailableError("away"), DONE]),
    ]
    held = [threads_backend.run(Call(gate.wait, (LONG,))), ScriptedJob()]
    assert await aio.wait([*jobs, *jobs], LONG) == (jobs, [])
    assert await aio.wait([*held, *jobs], 0.2) == (jobs, held)
    done, not_done = await aio.wait([*held, jobs[0]], LONG, aio.FIRST_COMPLETED)
    assert (done, not_done) == ([jobs[0]], held)
    assert await aio.wait([*jobs, *held], 0) == (jobs, held)
    ends = []
    with pytest.raises(JobTimeoutError, match="2 of 7 jobs"):  # noqa: PT012
        async for job in aio.as_completed([*jobs, *held], 0.2):
            ends.append(job)
    assert {id(job) for job in ends} == {id(job) for job in jobs}
    gate.set()
    held[1].end(JobStatus.ERROR)
    assert {id(job) async for job in aio.as_completed(held, LONG)} == {id(job) for job in held}
    pools[2].close()


async def test_waits_raise_what_asking_raises() -> None:
    for error in (KeyError("x"), BackendAuthError("no")):
        with pytest.raises(type(error)):
            await aio.wait([ScriptedJob(), ScriptedJob(RUNNING, error)], LONG)
        with pytest.raises(type(error)):
            await collected(aio.as_completed([ScriptedJob(error)], LONG))
    with pytest.raises(ValueError, match="ALL_COMPLETED"):
        await aio.wait([], return_when="NONE")


async def test_wait_for_final_state_asks_and_calls_back() -> None:
    """qiskit-ibm-runtime#523: the wait and its callback were taken away; here both are, in async too."""
    job = ScriptedJob("QUEUED", RUNNING, DONE)
    loop_thread = threading.get_ident()
    seen: list[Any] = []

    def callback(job_id: str, status: JobStatus, job: Any) -> None:
        seen.append((job_id, status, job, threading.get_ident() == loop_thread))

    await aio.wait_for_final_state(job, LONG, 0.001, callback)
    assert seen == [("7", JobStatus.QUEUED, job, True), ("7", RUNNING, job, True), ("7", DONE, job, True)]
    assert job.asked == 3


async def test_wait_for_final_state_awaits_its_callback() -> None:
    seen = []

    async def callback(job_id: str, status: JobStatus, job: Any) -> None:
        await asyncio.sleep(0)
        seen.append(status)

    await aio.wait_for_final_state(ScriptedJob(RUNNING, DONE), wait=0, callback=callback)
    assert seen == [RUNNING, DONE]


async def test_wait_for_final_state_in_time() -> None:
    job = ScriptedJob()
    with pytest.raises(JobTimeoutError, match=r"'7' has not ended within 0 s \(still RUNNING\)"):
        await aio.wait_for_final_state(job, timeout=0)
    assert job.asked == 1
    with pytest.raises(JobTimeoutError, match="backend unavailable") as caught:
        await aio.wait_for_final_state(ScriptedJob(BackendUnavailableError("down")), timeout=0.05)
    assert isinstance(caught.value.__cause__, BackendUnavailableError)
    with pytest.raises(ZeroDivisionError):
        await aio.wait_for_final_state(ScriptedJob(), callback=lambda *said: 1 / 0)


async def test_wait_for_final_state_is_woken(threads_backend: Any, gate: threading.Event) -> None:
    job = threads_backend.run(Call(gate.wait, (LONG,)))
    seen: list[JobStatus] = []

    def callback(job_id: str, status: JobStatus, job: Any) -> None:
        seen.append(status)
        gate.set()

    await asyncio.wait_for(aio.wait_for_final_state(job, None, 3600, callback), LONG)
    assert seen[-1] is DONE
    assert job._record.change_callbacks == ()


async def test_many_awaits_need_no_thread_each() -> None:
    engine = UniformEngine()
    jobs = engine.run_many(Call(abs, (n,)) for n in range(200))
    before = threading.active_count()
    waits = [asyncio.create_task(aio.wait([job])) for job in jobs]
    await aio.call(engine.asked.wait, LONG)
    assert threading.active_count() <= before + 2  # the watcher, and the one that waited for it
    engine.status_of_all = DONE
    assert all(wait.done for wait in await asyncio.gather(*waits))


async def test_logs(threads_backend: Any) -> None:
    job = threads_backend.run(Command(["sh", "-c", r"printf 'one\ntwo\nthr'; printf oops >&2"]))
    assert [line async for line in aio.logs(job, follow=True)] == ["one\n", "two\n", "thr"]
    assert [line async for line in aio.logs(job, "stderr")] == ["oops"]
    with pytest.raises(JobError, match="no stream 'stdwhat'"):
        await collected(aio.logs(job, "stdwhat"))
    with pytest.raises(JobError, match="keeps no logs"):
        await collected(aio.logs(ScriptedJob()))  # type: ignore[arg-type]


async def test_logs_are_followed_while_the_work_runs(threads_backend: Any, tmp_path: Any) -> None:
    go = tmp_path / "go"
    script = f"echo first; while [ ! -e {go} ]; do sleep 0.01; done; echo last"
    job = threads_backend.run(Command(["sh", "-c", script]))
    seen = []
    async for line in aio.logs(job, follow=True):
        seen.append(line)
        go.touch()  # which the work waits for: so it was heard while it ran
    assert seen == ["first\n", "last\n"]


async def test_calls_run_with_the_context_of_the_caller() -> None:
    variable = contextvars.ContextVar("variable", default="theirs")
    variable.set("ours")
    assert await aio.call(variable.get) == "ours"


async def test_what_was_cancelled_before_it_began_is_not_done(
    monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(offload, "LIMIT", 1)
    monkeypatch.setattr(offload, "_pools", offload._Pools())
    made: list[int] = []
    first = asyncio.create_task(aio.call(gate.wait, LONG))
    second = asyncio.create_task(aio.call(made.append, 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await first is True
    await aio.call(made.append, 3)
    assert made == [3]


async def test_a_call_never_queues_behind_one_that_blocks(gate: threading.Event) -> None:
    for _ in range(50):  # an idle thread that is just taking a call must not count twice
        await aio.call(int)
        blocked = asyncio.create_task(aio.call(gate.wait, LONG))
        await asyncio.sleep(0)
        await aio.call(gate.set)
        assert await blocked is True
        gate.clear()


def test_one_loop_after_another(threads_backend: Any, gate: threading.Event) -> None:
    async def main() -> Any:
        job = await aio.run(Call(pow, (2, 4)), threads_backend)
        await aio.wait([job, ScriptedJob(RUNNING, DONE)])
        return await job

    assert [asyncio.run(main()) for _ in range(5)] == [16] * 5


def test_loops_in_several_threads(threads_backend: Any, gate: threading.Event) -> None:
    """qBraid#1422: "loop is already running"."""
    job, plain = threads_backend.run(Call(gate.wait, (LONG,))), ScriptedJob()
    answers: list[Any] = []

    async def nested() -> None:
        done = await aio.wait([job, plain], LONG)
        answers.append((len(done.done), await job, await plain))

    async def main() -> None:
        # From within a running loop: each waits in a loop of its own, in a thread of its own.
        threads = [threading.Thread(target=asyncio.run, args=(nested(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        gate.set()
        plain.end()
        await nested()
        for thread in threads:
            await aio.call(thread.join)

    asyncio.run(main())
    assert answers == [(2, True, "result of 7")] * 4


def test_a_loop_that_is_closed_early(
    threads_backend: Any, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    job, plain = threads_backend.run(Call(gate.wait, (LONG,))), ScriptedJob()
    loop = asyncio.new_event_loop()
    waits = [loop.create_task(aio.wait([job, plain])), loop.create_task(final(job))]
    waits.append(loop.create_task(aio.call(gate.wait, LONG)))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    with caplog.at_level(logging.DEBUG):
        gate.set()
        plain.end()

        async def after() -> Any:
            return await aio.wait([job, plain], LONG)

        assert asyncio.run(after()).done == [job, plain]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    for task in waits:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError):  # asyncio's own queue needs its loop even to end
            task.get_coro().close()


# --- what blocks keeps nobody else waiting --------------------------------------------------------


async def test_work_that_runs_while_it_is_handed_over_starves_no_other_await(gate: threading.Event) -> None:
    """On ``inline`` a call runs on the thread that hands it over: as many as there are keep no other call."""
    inline, threads = make(InlineBackend), make(ThreadsBackend, slots=1)
    begun = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def block() -> bool:
        loop.call_soon_threadsafe(begun.release)
        return gate.wait(LONG)

    blocked = [asyncio.create_task(aio.run(Call(block), inline)) for _ in range(offload.LIMIT + 10)]
    for _ in range(offload.LIMIT):
        await begun.acquire()
    assert await aio.call(pow, 2, 3) == 8
    job = await aio.run(Call(pow, (2, 4)), threads)
    assert await job == 16
    assert not any(task.done() for task in blocked)
    gate.set()
    assert [await (await task) for task in blocked] == [True] * len(blocked)
    threads.close()
    inline.close()


@pytest.mark.parametrize("who", ["supervisor", "nobody"])
async def test_the_loop_goes_on_while_a_supervisor_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """To begin to wait is to be registered: who listens to the supervisor is another thread."""
    with running(tmp_path) as local:
        submitted = local.backend.run(Command(["sh", "-c", "read x < $FIFO"], env={"FIFO": local.fifo}))
        await aio.call(until, submitted.running)
        local.session.close()
        supervisor = local.supervisor
        assert supervisor is not None
        if who == "supervisor":
            os.kill(supervisor, signal.SIGSTOP)
        else:
            local.kill("supervisor")
        local.session = local.another()
        listened: set[int] = set()
        listen = LocalBackend.listen

        def recorded(backend: LocalBackend) -> None:
            listened.add(threading.get_ident())
            listen(backend)

        monkeypatch.setattr(LocalBackend, "listen", recorded)
        job = local.session.get_job(submitted.job_id())
        waits = [
            asyncio.ensure_future(job),
            asyncio.create_task(aio.wait([job])),
            asyncio.create_task(aio.wait_for_final_state(job)),
            asyncio.create_task(aio.result(job)),
        ]
        await asyncio.sleep(0)  # all of them have begun, and nobody has answered
        assert not any(task.done() for task in waits)
        os.kill(supervisor, signal.SIGCONT) if who == "supervisor" else None
        Path(local.fifo).write_text("go\n")
        async with asyncio.timeout(60):
            await asyncio.gather(*waits)
        assert job.done()
        assert listened
        assert threading.get_ident() not in listened

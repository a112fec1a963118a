"""How jobs are asked about: in bulk, not too often, and without drawing wrong conclusions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.manual_clock import ManualClock
from support.scripted_backends import ScriptedEngine
from support.waiting import wait_until

from anyjob.backend import Capabilities
from anyjob.errors import (
    BackendAuthError,
    BackendError,
    BackendUnavailableError,
    InvalidStatusError,
    JobTimeoutError,
)
from anyjob.job import JobStatus
from anyjob.orders import Unsure
from anyjob.outcome import Outcome
from anyjob.specs import Call
from anyjob.taskjob import TaskJob
from anyjob.tracking import bulk_query, tracker

QUEUED, RUNNING, DONE, ERROR = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.DONE, JobStatus.ERROR
CALL = Call(len, ("x",))


@pytest.fixture
def slow() -> Iterator[ScriptedEngine]:
    """An engine that may be asked every 10 s, and forgets jobs after a minute."""
    backend = ScriptedEngine.make(floor=10.0, ceiling=100.0, grace=60.0)
    yield backend
    backend.close()


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    backend = ScriptedEngine.make(grace=3600.0)
    yield backend
    backend.close()


# --- unknown, and lost ----------------------------------------------------------------------------


def test_a_job_that_the_engine_does_not_know_is_not_finished(
    clock: ManualClock, slow: ScriptedEngine
) -> None:
    """aiida-core#1505, #4326, Parsl#1588, #3316, nextflow#1644: absent from the queue was taken for
    finished. It is unknown first, and lost only after a grace period."""
    job = slow.run(CALL)
    slow.say("n0", RUNNING)
    clock.now += 11
    assert job.running()
    del slow.seen["n0"]
    for _ in range(5):  # from 22 s to 66 s: unknown for 44 s
        clock.now += 11
        assert job.status() is RUNNING
    clock.now += 11
    slow.say("n0", RUNNING)
    assert job.running()  # it was seen again: the period begins anew
    del slow.seen["n0"]
    for _ in range(6):
        clock.now += 11
        assert job.status() is RUNNING
    clock.now += 11
    assert job.status() is ERROR
    assert job.outcome().reason == "lost"
    assert "has not known of job" in job.outcome().message
    assert "for 66 s" in job.outcome().message


def test_what_a_lost_job_left_is_looked_at_first(clock: ManualClock, slow: ScriptedEngine) -> None:
    """aiida-core#1505: a job that has left the queue and has an outcome is taken by that, at once."""
    job = slow.run(CALL)
    clock.now += 11
    assert job.status() is QUEUED
    slow.outcomes["n0"] = Outcome(status=DONE, value=5)
    clock.now += 11
    assert job.done()
    assert job.result() == 5


def test_time_in_which_the_engine_was_away_does_not_count(clock: ManualClock, slow: ScriptedEngine) -> None:
    """Parsl#3316: after an outage an engine may know nothing for a while."""
    job = slow.run(CALL)
    clock.now += 11
    assert job.status() is QUEUED
    clock.now += 11
    slow.faults = [BackendUnavailableError("restarting")]
    with pytest.raises(BackendUnavailableError):
        job.status()
    clock.now += 3600
    assert job.status() is QUEUED
    clock.now += 59
    assert job.status() is QUEUED
    clock.now += 11
    assert job.status() is ERROR


# --- how often ------------------------------------------------------------------------------------


def test_an_answer_younger_than_the_floor_is_taken(clock: ManualClock, slow: ScriptedEngine) -> None:
    """qiskit-ibm-runtime#1547, aiida-core#2535: not stale, and not asked too often either."""
    first, second = slow.run_many([CALL, CALL])
    assert first.status() is QUEUED
    assert slow.questions == []  # that it was taken is an answer
    clock.now += 10.5
    for _ in range(100):
        first.running()
        second.running()
    assert slow.questions == [[first.job_id(), second.job_id()]]
    slow.say("n1", RUNNING)
    assert not second.running()
    clock.now += 10.5
    assert second.running()
    assert len(slow.questions) == 2


def test_jobs_that_the_engine_does_not_know_are_not_asked_more_often(
    clock: ManualClock, slow: ScriptedEngine
) -> None:
    job = slow.run(CALL)
    clock.now += 11
    for _ in range(5):
        job.status()
    assert len(slow.questions) == 1


def test_an_engine_that_is_away_is_not_asked_more_often(clock: ManualClock, slow: ScriptedEngine) -> None:
    """submitit#1759: many that ask must not overload what is down already."""
    jobs = slow.run_many([CALL] * 20)
    clock.now += 11
    slow.faults = [BackendUnavailableError("restarting"), BackendUnavailableError("restarting")]
    for job in jobs:
        with pytest.raises(BackendUnavailableError, match="restarting"):
            job.status()
    assert len(slow.questions) == 1
    clock.now += 11
    with pytest.raises(BackendUnavailableError):
        jobs[0].status()
    clock.now += 11
    assert jobs[0].status() is QUEUED
    assert len(slow.questions) == 3


def test_those_who_ask_at_once_share_one_question() -> None:
    """qiskit-ibm-runtime#2755, submitit#1759, Snakemake-Profiles/slurm#74, aiida-core#2535: one bulk
    query however many jobs, handles and threads ask."""
    engine = ScriptedEngine.make(floor=0.000001, grace=3600.0)
    jobs = engine.run_many([CALL] * 8)
    entered, go = threading.Event(), threading.Event()
    asking, observe = engine.questions, engine.observe

    def held(tickets: Any) -> Any:
        entered.set()
        assert go.wait(20)
        return observe(tickets)

    engine.observe = held  # type: ignore[method-assign]
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(jobs[0].status)
        assert entered.wait(20)
        arrived = threading.Barrier(9)

        def ask(job: TaskJob) -> JobStatus:
            arrived.wait(20)
            return job.status()

        others = [threads.submit(ask, job) for job in jobs]
        arrived.wait(20)
        wait_until(lambda: _waiting(engine) >= 8)
        go.set()
        assert first.result(20) is QUEUED
        assert [other.result(20) for other in others] == [QUEUED] * 8
    assert [len(question) for question in asking] == [8, 8]  # that under way, and the next
    engine.close()


def _waiting(engine: ScriptedEngine) -> int:
    """How many threads are inside ``Tracker.ask``."""
    import sys

    count = 0
    for frame in sys._current_frames().values():
        at: Any = frame
        while at is not None and at.f_code is not tracker.Tracker.ask.__code__:
            at = at.f_back
        count += at is not None
    return count - 1


def test_a_thousand_waits_are_one_thread_and_one_question_an_interval(engine: ScriptedEngine) -> None:
    """qiskit-ibm-runtime#2755, Snakemake-Profiles/slurm#74: one bulk query an interval."""
    before = threading.active_count()
    jobs = engine.run_many([CALL] * 1000)
    ended: list[Any] = []
    all_ended = threading.Semaphore(0)

    def tell(status: Any) -> None:
        ended.append(status)
        all_ended.release()

    for job in jobs:
        job._on_final(tell)
    engine.await_questions(2)
    assert threading.active_count() == before + 1
    with engine.changed:
        assert {len(question) for question in engine.questions[2:]} <= {1000}
        for number in range(1000):
            engine.say(f"n{number}", DONE)
    for _ in jobs:
        assert all_ended.acquire(timeout=20)
    assert ended == [DONE] * 1000
    wait_until(lambda: threading.active_count() == before)  # with nobody to serve it goes home


def test_an_engine_that_is_away_is_not_asked_more_often_for_what_it_may_have(
    clock: ManualClock, slow: ScriptedEngine
) -> None:
    """submitit#1759, of jobs of which the engine did not say whether it has taken them."""
    slow.answers = [Unsure()] * 5
    jobs = slow.run_many([CALL] * 5)
    clock.now += 11
    slow.faults = [BackendUnavailableError("restarting"), BackendUnavailableError("restarting")]
    for job in jobs * 2:
        with pytest.raises(BackendUnavailableError, match="restarting"):
            job.status()
    assert len(slow.sought) == 1
    slow.faults.clear()
    slow.known = {job.job_id(): f"n{number}" for number, job in enumerate(jobs)}
    clock.now += 11
    assert [job.status() for job in jobs] == [QUEUED] * 5
    assert len(slow.sought) == 2


def test_what_takes_long_to_fail_is_not_asked_again_at_once(clock: ManualClock, slow: ScriptedEngine) -> None:
    job = slow.run(CALL)
    clock.now += 11

    def observe(tickets: Any) -> Any:
        slow.questions.append([])
        clock.now += 60
        raise BackendUnavailableError("no answer within 60 s")

    slow.observe = observe  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(BackendUnavailableError):
            job.status()
    assert len(slow.questions) == 1


def test_many_that_the_engine_may_have_are_sought_in_chunks(
    monkeypatch: pytest.MonkeyPatch, clock: ManualClock, slow: ScriptedEngine
) -> None:
    monkeypatch.setattr(bulk_query, "CHUNK", 10)
    slow.answers = [Unsure()] * 25
    jobs = slow.run_many([CALL] * 25)
    slow.known = {jobs[24].job_id(): "n24"}
    clock.now += 11
    assert jobs[24].status() is QUEUED
    assert [len(ids) for ids in slow.sought] == [10, 10, 5]


def test_long_lists_go_in_chunks(
    monkeypatch: pytest.MonkeyPatch, clock: ManualClock, slow: ScriptedEngine
) -> None:
    monkeypatch.setattr(bulk_query, "CHUNK", 10)
    jobs = slow.run_many([CALL] * 25)
    slow.say("n24", RUNNING)
    clock.now += 11
    assert jobs[24].running()
    assert [len(question) for question in slow.questions] == [10, 10, 5]


def test_the_interval_grows_while_nothing_changes(clock: ManualClock, slow: ScriptedEngine) -> None:
    """Snakemake-Profiles/slurm#74: between the floor and the ceiling."""
    schedule = slow._tracker._watcher.schedule
    intervals = []
    for changed in (True, False, False, False, False, False, False, False, True):
        schedule.begin()
        schedule.asked(changed)
        intervals.append(schedule.interval)
    assert intervals[:4] == [10, 15, 22.5, 33.75]
    assert max(intervals) == 100
    assert intervals[-1] == 10
    assert schedule.due == clock.now + 10


def test_a_backend_that_notifies_is_polled_at_its_ceiling(clock: ManualClock) -> None:
    engine = ScriptedEngine.make(floor=1.0, ceiling=30.0, capabilities=Capabilities(notifies=True))
    schedule = engine._tracker._watcher.schedule
    schedule.asked(changed=True)
    assert schedule.interval == 30


def test_what_changed_before_the_backend_listened_is_seen_soon() -> None:
    """The hint for it went to nobody, and the next question at the ceiling would be an hour away."""

    class LateListener(ScriptedEngine):
        def listen(self) -> None:
            self.say("n0", DONE)

    engine = LateListener.make(floor=0.2, ceiling=3600.0, capabilities=Capabilities(notifies=True))
    assert engine.run(CALL).outcome(timeout=20).status is DONE
    engine.close()


def test_a_backend_that_cannot_listen_now_is_polled() -> None:
    class DeafBackend(ScriptedEngine):
        def listen(self) -> None:
            raise BackendUnavailableError("away")

    engine = DeafBackend.make()
    job = engine.run(CALL)
    engine.say("n0", DONE)
    assert job.outcome(timeout=20).status is DONE
    engine.close()


# --- faults ---------------------------------------------------------------------------------------


def test_a_poll_that_fails_is_tried_again_and_fails_no_job(engine: ScriptedEngine) -> None:
    """qiskit-aqt-provider#274, qiskit-aqua#752: back off and go on until the wait's own timeout."""
    job = engine.run(CALL)
    engine.faults = [BackendUnavailableError("away")] * 3
    engine.say("n0", DONE)
    engine.outcomes["n0"] = Outcome(status=DONE, value=1)
    assert job.result(timeout=20) == 1
    assert len(engine.questions) >= 4


def test_a_collect_that_fails_is_tried_again(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    collect, faults = engine.collect, [BackendUnavailableError("away")]

    def failing(tickets: Any) -> Any:
        if faults:
            raise faults.pop()
        return collect(tickets)

    monkeypatch.setattr(engine, "collect", failing)
    job = engine.run(CALL)
    engine.say("n0", DONE)
    engine.outcomes["n0"] = Outcome(status=DONE, value=1)
    assert job.result(timeout=20) == 1


@pytest.mark.parametrize("wait", ["result", "wait_for_final_state"])
def test_refused_credentials_are_raised_from_the_wait(engine: ScriptedEngine, wait: str) -> None:
    job = engine.run(CALL)
    engine.faults = [BackendAuthError("the token has expired")] * 2
    with pytest.raises(BackendAuthError, match="expired"):
        getattr(job, wait)(timeout=20)
    engine.faults.clear()
    assert job.status() is QUEUED  # the job is left as it is
    engine.say("n0", DONE)
    job.wait_for_final_state(20)  # and with a new token the wait goes well


def test_a_status_that_is_none_is_told_to_who_waits(engine: ScriptedEngine) -> None:
    """qiskit-ibm-runtime#2673, for an engine's plugin."""
    job = engine.run(CALL)
    engine.say("n0", "FINISHED")  # type: ignore[arg-type]
    with pytest.raises(InvalidStatusError, match="'FINISHED'"):
        job.result(timeout=20)
    engine.say("n0", "DONE")  # type: ignore[arg-type]
    job.wait_for_final_state(20)
    assert job.status() is DONE


def test_a_closed_backend_tells_who_waits_and_who_comes_later(slow: ScriptedEngine) -> None:
    job = slow.run(CALL)
    told: list[Any] = []
    job._on_final(told.append)
    slow.close()
    assert isinstance(told[0], BackendError)
    with pytest.raises(BackendError, match=r"'engine' was closed: get_backend\(\) gives another one"):
        job.result()
    launched = len(slow.jobs())
    for hand_over in (lambda: slow.run(CALL), lambda: slow.map(abs, [1])):
        with pytest.raises(BackendError, match="'engine' was closed"):
            hand_over()
    assert len(slow.jobs()) == launched, "nothing was handed over"


# --- final is final -------------------------------------------------------------------------------


def test_final_is_final(clock: ManualClock, slow: ScriptedEngine) -> None:
    job = slow.run(CALL)
    slow.say("n0", DONE)
    clock.now += 11
    assert job.done()
    slow.say("n0", RUNNING, attempt=2)
    slow.notify([job.job_id()])
    clock.now += 11
    assert job.done()
    assert len(slow.questions) == 1


def test_only_a_new_attempt_takes_a_job_back(clock: ManualClock, slow: ScriptedEngine) -> None:
    job = slow.run(CALL)
    seen = []
    for status, attempt in ((RUNNING, 1), (QUEUED, 1), (QUEUED, 2), (RUNNING, 2), (QUEUED, 1)):
        slow.say("n0", status, attempt=attempt)
        clock.now += 11
        seen.append((job.status(), job.metadata()["attempt"]))
    assert seen == [(RUNNING, 1), (RUNNING, 1), (QUEUED, 2), (RUNNING, 2), (RUNNING, 2)]


def test_an_answer_that_comes_late_changes_nothing(clock: ManualClock) -> None:
    """Two threads ask; the one that was told RUNNING is overtaken by the one that was told DONE."""
    engine = ScriptedEngine.make(floor=0.0)
    job = engine.run(CALL)
    engine.say("n0", RUNNING)
    observe = engine.observe

    def overtaken(tickets: Any) -> Any:
        seen = dict(observe(tickets))
        engine.observe = observe  # type: ignore[method-assign]
        engine.say("n0", DONE)
        assert job.done()
        return seen

    engine.observe = overtaken  # type: ignore[method-assign]
    assert job.status() is DONE
    assert job.done()


def test_an_end_that_two_threads_see_is_collected_once() -> None:
    engine = ScriptedEngine.make(floor=0.0)
    job = engine.run(CALL)
    engine.say("n0", DONE)
    engine.outcomes["n0"] = Outcome(status=DONE, value=7)
    collect = engine.collect

    def overtaken(tickets: Any) -> Any:
        found = collect(tickets)
        engine.outcomes.clear()  # an engine may hand over what came of a job only once
        job.status()
        return found

    engine.collect = overtaken  # type: ignore[method-assign]
    job.status()
    assert job.result() == 7
    assert len(engine.collected) == 1


# --- hints, and waits -----------------------------------------------------------------------------


def test_a_hint_is_no_verdict(engine: ScriptedEngine) -> None:
    job = engine.run(CALL)
    engine.notify([job.job_id(), "a job that nobody knows"])
    assert job.status() is QUEUED


def test_a_hint_wakes_the_wait_at_once() -> None:
    engine = ScriptedEngine.make(floor=3600.0, ceiling=3600.0, grace=3600.0)
    engine.say("n0", RUNNING)
    job = engine.run(CALL)
    seen: list[JobStatus] = []

    def callback(job_id: str, status: JobStatus, job: Any) -> None:
        seen.append(status)
        if status is not DONE:
            engine.say("n0", DONE)
            engine.notify([job_id])

    job.wait_for_final_state(timeout=60, wait=60, callback=callback)
    assert seen[-1] is DONE
    engine.close()


def test_a_hint_that_comes_while_the_engine_answers_is_not_missed() -> None:
    engine = ScriptedEngine.make(floor=3600.0, ceiling=3600.0, grace=3600.0)
    engine.say("n0", RUNNING)
    job = engine.run(CALL)
    observe = engine.observe
    ended = threading.Event()

    def overtaken(tickets: Any) -> Any:
        seen = dict(observe(tickets))
        engine.observe = observe  # type: ignore[method-assign]
        engine.say("n0", DONE)
        engine.notify([job.job_id()])
        return seen  # RUNNING, which is out of date already

    engine.observe = overtaken  # type: ignore[method-assign]
    job._on_final(lambda status: ended.set())
    engine.notify([job.job_id()])
    assert ended.wait(20)
    engine.close()


def test_a_question_for_one_who_waits_is_about_all_that_were_heard_of() -> None:
    engine = ScriptedEngine.make(floor=3600.0, ceiling=3600.0, grace=3600.0)
    jobs = engine.run_many([CALL] * 5)
    for number in range(5):
        engine.say(f"n{number}", DONE)
    ended = threading.Event()
    jobs[-1]._on_final(lambda status: ended.set())
    wait_until(lambda: engine._tracker._watcher.schedule.due > 0)  # its thread has had its first look
    ids = [job.job_id() for job in jobs]
    engine.notify(ids)
    assert ended.wait(20)
    assert [sorted(question) for question in engine.questions] == [sorted(ids)]
    engine.close()


def test_hints_for_which_nobody_waits_are_not_kept(engine: ScriptedEngine) -> None:
    jobs = engine.run_many([CALL] * 10)
    for _ in range(100):
        engine.notify([job.job_id() for job in jobs])
    assert len(engine._tracker._watcher._hints) == 0


def test_a_result_has_a_timeout(engine: ScriptedEngine) -> None:
    job = engine.run(CALL)
    with pytest.raises(JobTimeoutError, match=r"not ended within 0\.01 s \(still QUEUED\)"):
        job.result(timeout=0.01)
    assert job._record.final_callbacks == ()  # nothing is left behind
    with pytest.raises(JobTimeoutError):
        job.result(timeout=0)


def test_a_result_without_patience_asks_once(clock: ManualClock, slow: ScriptedEngine) -> None:
    job = slow.run(CALL)
    slow.say("n0", DONE)
    slow.outcomes["n0"] = Outcome(status=DONE, value=3)
    clock.now += 11
    assert job.result(timeout=0) == 3
    assert len(slow.questions) == 1


def test_a_callback_may_ask_about_another_job(engine: ScriptedEngine) -> None:
    """It is called by the thread that asks, which must not wait for itself."""
    first, second = engine.run_many([CALL, CALL])
    said: list[Any] = []
    done = threading.Event()

    def callback(status: Any) -> None:
        engine.notify([second.job_id()])
        said.append(second.status())
        done.set()

    first._on_final(callback)
    engine.say("n0", DONE)
    assert done.wait(20)
    assert said == [QUEUED]


def test_a_job_that_has_ended_leaves_nothing_behind(engine: ScriptedEngine) -> None:
    job = engine.run(CALL)
    engine.say("n0", DONE)
    job.wait_for_final_state(20)
    del job
    jobs = engine._tracker._jobs
    wait_until(lambda: not jobs.watched and not jobs.active and not list(jobs.known))


def test_the_thread_that_waits_for_a_hint_holds_no_job() -> None:
    engine = ScriptedEngine.make(floor=3600.0, ceiling=3600.0, grace=3600.0)
    engine.say("n0", RUNNING)
    engine.say("n1", RUNNING)
    stays, ends = engine.run_many([CALL, CALL])
    name, ended = ends.job_id(), threading.Event()
    stays._on_final(lambda status: None)
    ends._on_final(lambda status: ended.set())
    engine.notify([name])
    wait_until(lambda: engine.questions)
    engine.say("n1", DONE)
    engine.notify([name])
    assert ended.wait(20)
    del ends
    wait_until(lambda: name not in list(engine._tracker._jobs.known))
    engine.close()

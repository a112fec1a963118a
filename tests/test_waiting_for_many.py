"""100,000 outstanding handles are one thread, questions in bulk, and about a kilobyte each."""

from __future__ import annotations

import gc
import threading
import tracemalloc

from support.scripted_backends import UniformEngine

from anyjob import BackendConfiguration, Call, JobStatus, wait
from anyjob.tracking.bulk_query import CHUNK
from anyjob.tracking.waits.blocking import Subscription

MANY = 100_000


def test_one_thread_asks_in_bulk_about_100_000_jobs() -> None:
    """submitit#1759: polling overloaded the service; here it is one bulk query an interval."""
    engine = UniformEngine(BackendConfiguration("many"))
    engine.floor = engine.ceiling = 0.2  # type: ignore[misc]
    jobs = engine.run_many(Call(abs, (n,)) for n in range(MANY))
    watchers: set[int] = set()

    class Counter:
        left = MANY

        def put(self, end: object) -> None:
            watchers.add(sum(thread.name == "anyjob-watch-many" for thread in threading.enumerate()))
            self.left -= 1

    with Subscription(jobs, counter := Counter()):
        engine.status_of_all = JobStatus.DONE
        assert wait(jobs, 60).not_done == []
    assert counter.left == 0
    assert watchers == {1}
    assert len({thread for thread, _ in engine.questions}) == 1
    assert max(count for _, count in engine.questions) <= CHUNK
    assert len(engine.questions) < MANY / 100


def test_predicates_of_many_jobs_join_one_question() -> None:
    """qiskit-ibm-runtime#2755: polling overloaded the service."""
    engine = UniformEngine()
    engine.floor = 20  # type: ignore[misc]
    jobs = engine.run_many(Call(abs, (n,)) for n in range(500))
    engine.notify([job.job_id() for job in jobs])  # else it would be too soon to ask
    assert all(job.running() for job in jobs)
    assert [count for _, count in engine.questions] == [500]


def test_predicates_of_jobs_that_the_engine_does_not_mention_join_one_question() -> None:
    """Parsl#1588: a job that is absent from the queue is asked about no more often than any other."""

    class Forgetful(UniformEngine):
        floor = 20

        def observe(self, tickets):  # type: ignore[no-untyped-def]
            super().observe(tickets)
            return {}

    engine = Forgetful()
    jobs = engine.run_many(Call(abs, (n,)) for n in range(500))
    engine.notify([job.job_id() for job in jobs])
    assert not any(job.in_final_state() for job in jobs)
    assert [count for _, count in engine.questions] == [500]


def test_a_handle_that_is_waited_for_is_about_a_kilobyte() -> None:
    engine = UniformEngine()
    engine.floor = engine.ceiling = 60  # type: ignore[misc]
    count = 10_000
    engine.run(Call(abs, (0,)))  # what is imported and cached once does not count
    gc.collect()
    tracemalloc.start()
    try:
        jobs = engine.run_many(Call(abs, (n,)) for n in range(count))
        with Subscription(jobs, _Nowhere()):
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / count < 2500


class _Nowhere:
    def put(self, end: object) -> None:
        pass

"""Many jobs cost the engine few questions, and few jobs too."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from unittest import SkipTest

from anyjob.job import JOB_FINAL_STATES, JobStatus
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.instrumentation.audit_events import record_requests
from anyjob.testing.instrumentation.call_recorder import AttributesChanged, CallRecorder

MANY = 1000
"""Jobs that are handed over at once."""
FEW = 100
"""Connections and programs that a question about these may cost, at most."""
SOME = 12
"""Jobs that are asked about by some threads at a time."""
ASKING = 1.0
"""Seconds that these ask for."""
INTERVAL = 0.25
"""Seconds between two questions, at most, so that some fall into that time."""
SHORT = 0.01
"""Seconds between two questions that the engine is not asked."""
NEVER = 1e6
"""Seconds between two questions, where there is to be no next one."""


class Bulk:
    """Jobs are handed over, asked about and waited for in bulk."""

    bulk: ClassVar[int] = MANY
    """How many jobs are handed over at once. With fewer than 1,000, say why in ``bulk_reason``."""
    bulk_reason: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.bulk < MANY and not cls.bulk_reason:
            raise TypeError(f"{cls.__qualname__}: say in `bulk_reason` why `bulk` is less than {MANY:,}")

    def test_a_thousand_jobs_keep_their_order(self, harness: BackendHarness) -> None:
        """run_many() of 1,000 gives 1,000 jobs in the order of the work, each with its own result."""
        samples = list(harness.samples_with("echo"))
        # What it runs by itself costs it least.
        sample = ([each for each in samples if each.kind in harness.backend.accepts] or samples)[-1]
        assert sample.echo is not None
        texts = [f"number {number}" for number in range(self.bulk)]
        jobs = harness.run_many([sample.echo(text) for text in texts])
        assert len(jobs) == len(texts), f"run_many() of {len(texts)} gave {len(jobs)} jobs"
        different = len({job.job_id() for job in jobs})
        assert different == len(jobs), f"{len(jobs)} jobs have {different} different ids"
        left = set(jobs)
        while left:  # however slow the engine is: what it must not is stop
            before, left = left, set(harness.session.wait(left, timeout=harness.timeout).not_done)
            assert len(left) < len(before), (
                f"{len(left)} of {len(jobs)} jobs have not ended, and none of them has within "
                f"{harness.timeout:g} s"
            )
        for text, job in zip(texts, jobs, strict=True):
            outcome = job.outcome()
            assert outcome.status is JobStatus.DONE, (
                f"the job {text!r} of {len(jobs)} ended as {outcome.status.name}: {outcome.message}"
            )
            received = sample.echoed(job.result())
            assert received == text, f"of {len(jobs)} jobs, the one that says {text!r} said {received!r}"
        if self.bulk < MANY:
            raise SkipTest(f"kept with {self.bulk} jobs; {MANY:,} were not tried: {self.bulk_reason}")

    def test_many_jobs_are_handed_over_by_one_call(self, harness: BackendHarness) -> None:
        """run_many() hands all its jobs to the engine by one launch(), in their order."""
        work = [sample.succeeds for sample in harness.samples] * 2
        with CallRecorder(harness.backend, "launch") as launches:
            jobs = harness.run_many(work)
        ids = [job.job_id() for job in jobs]
        assert launches.calls == [ids], (
            f"to hand over {len(ids)} jobs, launch() was called {len(launches.calls)} times, "
            f"with {[len(call) for call in launches.calls]} of them"
        )
        harness.session.wait(jobs, timeout=harness.timeout)

    def test_a_question_about_a_thousand_jobs_is_answered(self, harness: BackendHarness) -> None:
        """The engine can be asked about 1,000 jobs at once, by few connections and programs."""
        job = harness.run_slow()
        ticket = job._record.ticket()
        try:
            with record_requests() as requests:
                answer = harness.backend.observe([ticket] * MANY)
        except Exception as error:
            raise AssertionError(f"asked about {MANY:,} jobs, observe() raised {error!r}") from error
        assert job.job_id() in answer, f"asked about {MANY:,} jobs, the engine leaves out one that it has"
        assert len(requests) <= FEW, (
            f"asked about {MANY:,} jobs by one observe(), the backend asked its engine {len(requests):,} "
            f"times, not {FEW} at most: ask about many jobs at a time (each was a {requests[0]})"
        )
        strange = set(answer) - {job.job_id()}
        assert not strange, f"asked about one job {MANY:,} times, the engine answers about {strange}"
        job.cancel()

    def test_questions_are_bounded_however_many_ask(self, harness: BackendHarness) -> None:
        """The engine is asked once an interval, however many jobs, handles and threads ask."""
        # qiskit-ibm-runtime#2755, submitit#1759, Snakemake-Profiles/slurm#74, aiida-core#2535
        backend = harness.backend
        if not backend.floor:
            raise SkipTest(f"{harness.name} answers from memory: its questions cost nothing (floor = 0)")
        jobs = [harness.run_slow()]
        sample = next(harness.samples_with("slow"))
        assert sample.slow is not None
        jobs += harness.run_many([sample.slow(harness.slow_seconds)] * (SOME - 1))
        floor = min(backend.floor, INTERVAL)
        with (
            AttributesChanged(backend, floor=floor),
            CallRecorder(backend, "observe") as observed,
            CallRecorder(backend, "notify") as hints,
        ):
            began = time.monotonic()
            with ThreadPoolExecutor(4) as threads:
                threads.submit(harness.session.wait, jobs, ASKING)
                list(threads.map(lambda some: _keep_asking(some, began + ASKING), [jobs, jobs, jobs[::-1]]))
            calls, passed = len(observed.calls), time.monotonic() - began
            # One more for a hint that came before these were counted.
            allowed = 3 + passed / floor + sum(map(len, hints.calls))
        assert calls <= allowed, (
            f"4 threads asked about {SOME} jobs, and waited for them, for {passed:.1f} s; the engine was "
            f"asked {calls} times: with floor = {floor:g} s that is to be {allowed:.0f} times at most"
        )
        backend.cancel_many(jobs)

    def test_an_answer_that_leaves_jobs_out_is_no_verdict(self, harness: BackendHarness) -> None:
        """A job that an answer of the engine leaves out is unknown, and has not ended."""
        # aiida-core#1505, aiida-core#4326, Parsl#1588, Parsl#3316, nextflow#1644
        job = harness.run_slow()
        harness.wait_until(job.running, "a job that runs")
        with (
            CallRecorder(harness.backend, "observe", lambda real, tickets: {}) as observed,
            AttributesChanged(harness.backend, grace=NEVER, floor=min(harness.backend.floor, SHORT)),
        ):
            harness.wait_until(
                lambda: job.status() in JOB_FINAL_STATES or observed.count(job.job_id()) >= 3,
                "some questions to the engine",
            )
            status = job.status()
        assert status not in JOB_FINAL_STATES, (
            f"a job that runs was left out of the engine's answer, and was taken to be {status.name}"
        )
        job.cancel()

    def test_what_the_engine_tells_is_a_hint_and_no_verdict(self, harness: BackendHarness) -> None:
        """A hint that a job has changed makes one question to the engine, and is no answer itself."""
        backend = harness.backend
        job = harness.run_slow()
        harness.wait_until(job.running, "a job that runs")
        # But for the hint, nobody asks any more.
        unpolled = {} if not backend.floor else {"floor": NEVER, "ceiling": NEVER}
        with AttributesChanged(backend, **unpolled), CallRecorder(backend, "observe") as observed:
            release = job._on_change(lambda: None)
            before = observed.count(job.job_id())
            backend.notify([job.job_id()])
            harness.wait_until(
                lambda: observed.count(job.job_id()) > before or job._record.outcome is not None,
                "a question to the engine after a hint",
            )
            release()
        outcome = job._record.outcome
        assert outcome is None, f"a hint about a job that runs was taken for its end: {outcome.status.name}"
        job.cancel()


def _keep_asking(jobs: list[Any], deadline: float) -> None:
    """Ask about one job after the other, again and again, until the deadline."""
    for job in itertools.cycle(jobs):
        job.status()
        if time.monotonic() > deadline:
            return

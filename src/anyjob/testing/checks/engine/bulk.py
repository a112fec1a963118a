"""Many jobs cost the engine few questions, and few jobs too."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from unittest import SkipTest

from anyjob.job import JOB_FINAL_STATES, JobStatus
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.observe.audit import questions_while
from anyjob.testing.observe.calls import CallRecorder, Changed

MANY = 1000
"""Jobs that are handed over at once."""
FEW = 100
"""Connections and programs that a question about these may cost, at most."""
SLOWEST = 0.2
"""Seconds that each of these may take, on a machine that has much else to do."""
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
        samples = list(harness.having("echo"))
        # What it runs by itself costs it least.
        sample = ([each for each in samples if each.kind in harness.backend.accepts] or samples)[-1]
        assert sample.echo is not None
        texts = [f"number {number}" for number in range(self.bulk)]
        jobs = harness.run_many([sample.echo(text) for text in texts])
        assert len(jobs) == len(texts), f"run_many() of {len(texts)} gave {len(jobs)} jobs"
        different = len({job.job_id() for job in jobs})
        assert different == len(jobs), f"{len(jobs)} jobs have {different} different ids"
        patience = harness.patience + SLOWEST * len(jobs)
        left = harness.session.wait(jobs, timeout=patience).not_done
        assert not left, f"{len(left)} of {len(jobs)} jobs have not ended within {patience:g} s"
        for text, job in zip(texts, jobs, strict=True):
            outcome = job.outcome()
            assert outcome.status is JobStatus.DONE, (
                f"the job {text!r} of {len(jobs)} ended as {outcome.status.name}: {outcome.message}"
            )
            heard = sample.heard(job.result())
            assert heard == text, f"of {len(jobs)} jobs, the one that says {text!r} said {heard!r}"
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
        harness.session.wait(jobs, timeout=harness.patience)

    def test_a_question_about_a_thousand_jobs_is_answered(self, harness: BackendHarness) -> None:
        """The engine can be asked about 1,000 jobs at once, by few connections and programs."""
        job = harness.begin()
        ticket = job._record.ticket()
        try:
            with questions_while() as asked:
                answer = harness.backend.observe([ticket] * MANY)
        except Exception as error:
            raise AssertionError(f"asked about {MANY:,} jobs, observe() raised {error!r}") from error
        assert job.job_id() in answer, f"asked about {MANY:,} jobs, the engine leaves out one that it has"
        assert len(asked) <= FEW, (
            f"asked about {MANY:,} jobs by one observe(), the backend asked its engine {len(asked):,} times, "
            f"not {FEW} at most: ask about many jobs at a time (each was a {asked[0]})"
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
        jobs = [harness.begin()]
        sample = next(harness.having("slow"))
        assert sample.slow is not None
        jobs += harness.run_many([sample.slow(harness.long)] * (SOME - 1))
        floor = min(backend.floor, INTERVAL)
        with (
            Changed(backend, floor=floor),
            CallRecorder(backend, "observe") as tap,
            CallRecorder(backend, "notify") as hints,
        ):
            began = time.monotonic()
            with ThreadPoolExecutor(4) as threads:
                threads.submit(harness.session.wait, jobs, ASKING)
                list(threads.map(lambda some: _ask(some, began + ASKING), [jobs, jobs, jobs[::-1]]))
            calls, passed = len(tap.calls), time.monotonic() - began
            allowed = 2 + passed / floor + sum(map(len, hints.calls))
        assert calls <= allowed, (
            f"4 threads asked about {SOME} jobs, and waited for them, for {passed:.1f} s; the engine was "
            f"asked {calls} times: with floor = {floor:g} s that is to be {allowed:.0f} times at most"
        )
        backend.cancel_many(jobs)

    def test_an_answer_that_leaves_jobs_out_is_no_verdict(self, harness: BackendHarness) -> None:
        """A job that an answer of the engine leaves out is unknown, and has not ended."""
        # aiida-core#1505, aiida-core#4326, Parsl#1588, Parsl#3316, nextflow#1644
        job = harness.begin()
        harness.until(job.running, "a job that runs")
        with (
            CallRecorder(harness.backend, "observe", lambda real, tickets: {}) as tap,
            Changed(harness.backend, grace=NEVER, floor=min(harness.backend.floor, SHORT)),
        ):
            harness.until(
                lambda: job.status() in JOB_FINAL_STATES or tap.about(job.job_id()) >= 3,
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
        job = harness.begin()
        harness.until(job.running, "a job that runs")
        # But for the hint, nobody asks any more.
        quiet = {} if not backend.floor else {"floor": NEVER, "ceiling": NEVER}
        with Changed(backend, **quiet), CallRecorder(backend, "observe") as tap:
            release = job._on_change(lambda: None)
            before = tap.about(job.job_id())
            backend.notify([job.job_id()])
            harness.until(
                lambda: tap.about(job.job_id()) > before or job._record.outcome is not None,
                "a question to the engine after a hint",
            )
            release()
        outcome = job._record.outcome
        assert outcome is None, f"a hint about a job that runs was taken for its end: {outcome.status.name}"
        job.cancel()


def _ask(jobs: list[Any], until: float) -> None:
    """Ask about one job after the other, again and again, until it is that late."""
    for job in itertools.cycle(jobs):
        job.status()
        if time.monotonic() > until:
            return

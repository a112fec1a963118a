"""A client that is killed while it submits loses no job, and has none run twice."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyjob.job import JobStatus
from anyjob.outcome import Outcome
from anyjob.specs import Command
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import requires
from anyjob.testing.harness.samples import can_run
from anyjob.testing.instrumentation.call_recorder import AttributesChanged

JOBS = 3
TAKEN = "taken:"
SOON = 0.2
"""Seconds after which a job that the engine does not know is taken for lost, where it surely has none."""


class ClientCrashes:
    """The submitting process is killed at each step."""

    @requires("durable")
    def test_a_client_that_dies_before_it_submits_leaves_no_job_in_the_dark(
        self, harness: BackendHarness
    ) -> None:
        """Jobs of a client that was killed before the engine heard of them run once, or end as lost."""
        with _submission(harness, "before") as submission:
            for job, outcome in submission.settled():
                submission.assert_ran_once_or_lost(job, outcome)

    @requires("durable")
    def test_a_client_that_dies_while_it_submits_has_no_job_run_twice(self, harness: BackendHarness) -> None:
        """Jobs of a client that was killed before it noted their ids are found, and none runs twice."""
        # executorlib#412: never submitted twice
        with _submission(harness, "between") as submission:
            for job, outcome in submission.settled():
                submission.assert_ran_once_or_lost(job, outcome)
                if harness.backend.capabilities.find:
                    submission.assert_not_lost_if_taken(job, outcome)

    @requires("durable")
    def test_a_client_that_dies_after_it_has_submitted_loses_no_job(self, harness: BackendHarness) -> None:
        """Jobs of a client that was killed when it had submitted them run once, and are found."""
        with _submission(harness, "after") as submission:
            settled = submission.settled()
            assert len(settled) == JOBS, f"{JOBS} jobs were submitted, and {len(settled)} are found"
            for job, outcome in settled:
                submission.assert_ran_once_or_lost(job, outcome)
                submission.assert_not_lost_if_taken(job, outcome)


class _Submission:
    """What a process has submitted that was killed meanwhile."""

    def __init__(self, harness: BackendHarness, name: str, runs: Path | None, native: dict[str, str]) -> None:
        self.harness = harness
        self.native = native
        self._name = name
        self._runs = runs

    def settled(self) -> list[tuple[Any, Outcome]]:
        """Find the jobs, and wait for each to end."""
        jobs = self.harness.session.jobs(name=self._name)
        assert len(jobs) <= JOBS, f"{JOBS} jobs were submitted, and {len(jobs)} are found"
        missing = set(self.native) - {job.job_id() for job in jobs}
        assert not missing, f"the engine was given jobs that are not found again: {', '.join(missing)}"
        backend = self.harness.backend
        for job in jobs:
            taken = job.job_id() in self.native
            if taken and (backend.capabilities.find or job.native_id() is not None):
                self.harness.outcome(job, lambda job=job: self._known_ids(job))  # type: ignore[misc]
        with AttributesChanged(backend, grace=SOON):
            return [(job, self.harness.outcome(job)) for job in jobs]

    def _known_ids(self, job: Any) -> str:
        taken, known = self.native[job.job_id()], job.native_id()
        return f"the engine took a job as {taken}; its client died, and here it is known as {known}"

    def assert_ran_once_or_lost(self, job: Any, outcome: Outcome) -> None:
        """What has run has run once and is DONE; what has not is lost, and says so."""
        ending = f"{outcome.status.name} ({outcome.reason or 'no reason'}: {outcome.message or 'no message'})"
        lost = outcome.status is JobStatus.ERROR and outcome.reason == "lost" and outcome.message
        assert outcome.status is JobStatus.DONE or lost, f"job {job.job_id()} has ended as {ending}"
        known, native = self.native.get(job.job_id()), job.native_id()
        assert None in (known, native) or known == native, (
            f"the engine took a job as {known}, and it now is {native}: was it submitted once more?"
        )
        runs = self._count_runs(job)
        if runs is None or self.harness.backend.capabilities.may_run_twice:
            return
        assert runs <= 1, f"job {job.job_id()} has run {runs} times"
        assert runs == 1 or lost, f"job {job.job_id()} is said to be {ending}, and has never run"

    def assert_not_lost_if_taken(self, job: Any, outcome: Outcome) -> None:
        """What the engine has taken is not lost."""
        assert outcome.status is JobStatus.DONE or job.job_id() not in self.native, (
            f"the engine took job {job.job_id()} as {self.native[job.job_id()]}, "
            f"and it has ended as {outcome.status.name}: {outcome.message}"
        )

    def _count_runs(self, job: Any) -> int | None:
        """How often a job has run, where that can be seen."""
        if self._runs is None:
            return None
        return self._runs.read_text().count(f"{job.job_id()}\n") if self._runs.exists() else 0


@contextmanager
def _submission(harness: BackendHarness, step: str) -> Iterator[_Submission]:
    """Have another process submit jobs, and be killed at this step."""
    name = f"{step} the launch {os.urandom(4).hex()}"
    state = harness.session.services.ledger.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kit-", dir=state) as directory:
        runs = Path(directory, "runs") if _can_count_runs(harness) else None
        path = None if runs is None else str(runs)
        with harness.start_other_process(_submit_and_die, step=step, name=name, runs=path) as other:
            try:
                out, err = other.process.communicate(timeout=harness.timeout)
            except subprocess.TimeoutExpired:
                raise AssertionError("a process that submits does not come to the end of it") from None
            code = other.process.returncode
            assert code == -signal.SIGKILL, f"a process that submits ended with code {code} by itself\n{err}"
        native = dict(line.split(" ", 2)[1:] for line in out.splitlines() if line.startswith(TAKEN))
        yield _Submission(harness, name, runs, native)


def _can_count_runs(harness: BackendHarness) -> bool:
    return bool(harness.backend.capabilities.shared_files) and can_run(harness.backend, "command")


def _work(harness: BackendHarness, runs: str | None) -> list[Any]:
    if runs is None:
        return [harness.samples[0].succeeds] * JOBS
    script = 'echo "$ANYJOB_JOB_ID" >> "$1"'
    return [Command(["sh", "-c", script, "sh", runs])] * JOBS


# --- what the other process does ------------------------------------------------------------------


def _submit_and_die(harness: BackendHarness, step: str, name: str, runs: str | None) -> None:
    backend = harness.backend
    launch = backend.launch

    def launch_noted(orders: Sequence[Any]) -> Iterator[Any]:
        if step == "before":
            _kill_this_process()
        for order, answer in launch(orders):
            if isinstance(answer, str):
                print(TAKEN, order.job_id, answer, flush=True)
            if step == "between":
                _kill_this_process()
            yield order, answer

    backend.launch = launch_noted
    backend.run_many(_work(harness, runs), name=name)
    _kill_this_process()


def _kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

"""A job of a backend whose jobs live and end with this program."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from anyjob.execution.job_run import JobRun
from anyjob.orders import Observation, Order
from anyjob.outcome import Outcome
from anyjob.resources import goes_again as may_go_again
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.execution.next_attempt import Again
    from anyjob.execution.worker_process import Surroundings
    from anyjob.references import ResultOf
    from anyjob.serialization.packed_call import Part


class PoolJob(JobRun):
    """One job, with what it was handed over with.

    Attributes:
        cwd: the working directory of the submitter, whatever it is when the job starts.
        slots: how many it takes.
        attempts: of each that was followed by another its number, why it was, and what came of it.
        resources: what it was given for the first.
        due: when the next attempt is, by the monotonic clock, while it waits for that.
        call: what to call, and what it is to find, where that goes to another process.
        results: those of other jobs that are arguments of it.
    """

    __slots__ = ("attempts", "call", "cwd", "due", "resources", "results", "slots")

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.slots = order.resources.cpus or 1
        self.cwd: str | None = None
        self.call: tuple[tuple[Part, Part], Surroundings] | None = None
        self.results: list[ResultOf] = []
        self.attempts: list[tuple[int, str, Outcome]] = []
        self.resources = order.resources
        self.due = 0.0
        if may_go_again(self.resources):
            order.environment["ANYJOB_ATTEMPT"] = "1"

    @property
    def attempt(self) -> int:
        """It may go again: see `JobRun.attempt`."""
        return len(self.attempts) + 1

    def goes_again(self, outcome: Outcome) -> Again | None:
        """Take in what came of an attempt; return when the next one is, None where there is none."""
        outcome.attempt = self.attempt
        if not may_go_again(self.resources):
            return None
        from random import random

        from anyjob.execution.next_attempt import next_attempt

        ended = self.as_it_ended(outcome)
        step = next_attempt(self.resources, [why for _, why, _ in self.attempts], ended, chance=random())
        if step is None or not self.rest():
            return None
        self._prepare(ended, step)
        return step

    def _prepare(self, ended: Outcome, step: Again) -> None:
        from anyjob.execution.next_attempt import grown
        from anyjob.outputs.attempt_files import put_attempt_aside

        if self.order.spool is not None:
            put_attempt_aside(self.order.spool, self.attempt)
        self.attempts.append((self.attempt, step.kind, ended))
        self.order.resources = grown(self.resources, sum(why == "retry" for _, why, _ in self.attempts))
        self.order.environment["ANYJOB_ATTEMPT"] = str(self.attempt)
        self.due = time.monotonic() + step.wait

    def observation(self) -> Observation:
        """Return where it is, as long as it has not ended."""
        status = JobStatus.RUNNING if self.running else JobStatus.QUEUED
        policy, message = self.resources.retries, ""
        if self.attempts and not self.running:
            others = sum(why != "retry" for _, why, _ in self.attempts)
            of = f" of {1 + policy.times + others}" if policy is not None else ""
            message = f"attempt {self.attempt}{of}, again in {max(0.0, self.due - time.monotonic()):.0f} s"
        return Observation(status, None, message, attempt=self.attempt)

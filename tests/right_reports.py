"""A backend that runs neither programs nor calls, but work of a kind of its own, and keeps all promises."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjob.backend import Capabilities
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.specs import Spec
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.taskbackend import TaskBackend
from anyjob.taskjob import TaskJob
from anyjob.testing import Samples


class Report(Spec, frozen=True, tag="kit.report"):
    """A report on a text, which takes a while to write."""

    text: str = ""
    seconds: float = 0.0
    broken: bool = False


class ReportJob(TaskJob):
    """The kind of it; its result is the text, reported."""

    spec_type = Report


class Writer:
    """Writes one report."""

    def __init__(self, order: Order) -> None:
        assert isinstance(order.spec, Report)
        self.report = order.spec
        self.status = JobStatus.QUEUED
        self.cancelled = threading.Event()

    def write(self) -> None:
        self.status = JobStatus.RUNNING
        if self.cancelled.wait(self.report.seconds):
            self.status = JobStatus.CANCELLED
        else:
            self.status = JobStatus.ERROR if self.report.broken else JobStatus.DONE

    def outcome(self) -> Outcome:
        if self.status is JobStatus.ERROR:
            return Outcome(status=self.status, reason="exception", message="the report makes no sense")
        return Outcome(status=self.status, value=pickle.dumps({"report": self.report.text}))


class RightReportsBackend(TaskBackend):
    """Writes reports on threads of this process."""

    accepts = frozenset({"kit.report"})
    capabilities = Capabilities(walltime=False)
    floor = 0.01
    ceiling = 0.1
    grace = 0.3

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.writers: dict[str, Writer] = {}

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Write each on a thread."""
        for order in orders:
            writer = Writer(order)
            native_id = f"report-{len(self.writers)}"
            self.writers[native_id] = writer
            threading.Thread(target=writer.write, daemon=True).start()
            yield order, native_id

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Look at the writers."""
        known = self.writers
        return {t.job_id: Observation(known[t.native_id].status) for t in tickets if t.native_id in known}

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have the writers stop."""
        accepted = {}
        for ticket in tickets:
            writer = self.writers[ticket.native_id]
            accepted[ticket.job_id] = writer.status not in JOB_FINAL_STATES
            writer.cancelled.set()
        return accepted

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Take what was written."""
        writers = {t.job_id: self.writers[t.native_id] for t in tickets if t.native_id in self.writers}
        return {job_id: w.outcome() for job_id, w in writers.items() if w.status in JOB_FINAL_STATES}


def report_samples() -> Sequence[Samples]:
    """Reports that succeed, fail, are slow, and have a text in them."""
    return [
        Samples(
            kind="kit.report",
            succeeds=Report("well"),
            value={"report": "well"},
            fails=Report(broken=True),
            reason="exception",
            slow=lambda seconds: Report("slow", seconds),
            echo=Report,
            echoed=lambda result: str(result["report"]),
        )
    ]

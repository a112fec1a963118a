"""What is known of one job, as a Ray task or as part of one."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from typing import Any

from anyjob_ray.worker.reports.output import Location

_NOTHING: Mapping[str, Any] = {}


class Task:
    """One job.

    Args:
        job_id: ours.
        walltime: seconds that it may run.
        retriable: whether Ray runs it again if its worker dies.
        needs: those that it starts after, as far as they are known here.
        taken: the object refs of all of these, by the ids of their jobs.
    """

    __slots__ = (
        "cancelled",
        "crashed",
        "dependents",
        "ended_ref",
        "in_object_store",
        "job_id",
        "kill_reason",
        "location",
        "needs",
        "outcome",
        "ref",
        "retriable",
        "started",
        "taken",
        "walltime",
    )

    def __init__(
        self,
        job_id: str,
        walltime: float | None,
        retriable: bool = False,
        needs: Sequence[Task] = (),
        taken: Mapping[str, Any] = _NOTHING,
    ) -> None:
        self.job_id = job_id
        self.walltime = walltime
        self.retriable = retriable
        self.needs = needs
        self.taken = taken
        self.dependents: list[Task] = []
        """Those that start after it, until it has ended."""
        for need in needs:
            if need.is_open:
                need.dependents.append(self)
        self.ref: Any = None
        """Of a task that runs this job alone; once it has ended, of what lies in the object store."""
        self.ended_ref: Any = None
        """Of a task that has run this job alone, once that has ended, for those that start after it."""
        self.location: Location | None = None
        self.started = 0.0
        self.outcome: bytes | None = None
        """Pickled; None: it has not ended."""
        self.in_object_store = False
        self.crashed = False
        self.cancelled = False
        self.kill_reason = ""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.outcome is None

    @property
    def can_be_given(self) -> bool:
        """Whether others may be given its ref, who start after its success: it has not failed."""
        if self.crashed or self.cancelled:
            return False
        return self.outcome is None or pickle.loads(self.outcome)["status"] == "DONE"

    @property
    def state(self) -> str:
        """Where it is: ``QUEUED``, ``RUNNING`` or ``ENDED``."""
        if self.outcome is not None:
            return "ENDED"
        return "QUEUED" if self.location is None else "RUNNING"

    @property
    def state_in_words(self) -> str:
        """The state; after a space, what it waits for."""
        return f"{self.state} {self._waits}" if self.state == "QUEUED" and self.needs else self.state

    @property
    def _waits(self) -> str:
        """What it waits for, in words; empty where that is no other job."""
        left = [each.job_id for each in self.needs if each.is_open]
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        return f"waits for {left[0][:7]}{more}" if left else ""

    @property
    def is_overdue(self) -> bool:
        """Whether it has run for as long as it may: then that is why its worker died."""
        if self.walltime is None or self.location is None:
            return False
        return time.monotonic() - self.started >= self.walltime

    def end(self, outcome: bytes) -> None:
        """Take in what came of it; if its cancel was accepted, it is cancelled, whatever that was."""
        self.outcome = _as_cancelled(outcome) if self.cancelled else outcome
        self.needs, self.taken, self.dependents = (), _NOTHING, []
        if not self.in_object_store:
            self.ref, self.ended_ref = None, self.ref


def _as_cancelled(outcome: bytes) -> bytes:
    known = pickle.loads(outcome)
    if known["status"] == "CANCELLED":
        return outcome
    kept = {key: known[key] for key in ("started", "finished", "host", "written", "signal") if key in known}
    return pickle.dumps({**kept, "status": "CANCELLED"}, 5)

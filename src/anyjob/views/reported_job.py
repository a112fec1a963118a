"""What a report tells of a job, read of the ledger: data, no handles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ReportedJob(NamedTuple):
    """What a report tells of one job; times in seconds since 1970, sizes in bytes.

    Args:
        host: where it ran, or runs, as far as that is known.
        cpus: cores that its last attempt was given, with all its tasks; 1, where it has not said.
        gpus: accelerators that its last attempt was given.
        parameters: its values of the axes of a job file, in a line.
        memory: what its last attempt was given; None where it has not said.
    """

    job_id: str
    name: str
    backend: str
    kind: str
    work: str
    state: str
    reason: str
    message: str
    native_id: str
    host: str
    attempt: int
    submitted: float
    started: float | None
    finished: float | None
    cpus: int
    gpus: float
    memory: int | None
    cpu_time: float | None
    peak_memory: int | None
    exit_code: int | None
    cost: float | None
    currency: str
    tags: Mapping[str, str]
    parameters: str = ""

    @property
    def waited(self) -> float | None:
        """Seconds between its submission and its start; None as long as it has not started."""
        return None if self.started is None else max(0.0, self.started - self.submitted)

    def ran(self, now: float) -> float | None:
        """Return the seconds that it ran, until now if it runs still; None for one that has not started."""
        if self.started is None or (self.finished is None and self.state != "RUNNING"):
            return None
        return max(0.0, (now if self.finished is None else self.finished) - self.started)

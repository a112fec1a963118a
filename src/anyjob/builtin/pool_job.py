"""A job of a backend whose jobs live and end with this program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyjob.execution.job_run import JobRun
from anyjob.orders import Order

if TYPE_CHECKING:
    from anyjob.execution.packed_call import Part
    from anyjob.execution.worker_process import Surroundings
    from anyjob.references import ResultOf


class PoolJob(JobRun):
    """One job, with what it was handed over with.

    Attributes:
        cwd: the working directory of the submitter, whatever it is when the job starts.
        slots: how many it takes.
        call: what to call, and what it is to find, where that goes to another process.
        results: those of other jobs that are arguments of it.
    """

    __slots__ = ("call", "cwd", "results", "slots")

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.slots = order.resources.cpus or 1
        self.cwd: str | None = None
        self.call: tuple[tuple[Part, Part], Surroundings] | None = None
        self.results: list[ResultOf] = []

"""How often a job that there is no room for yet may be overtaken by those behind it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

PER_SLOT = 10
"""Jobs that may overtake one, for each slot of its queue: then what becomes free is kept for it."""


class Backfill:
    """Has small jobs fill what a large one has to leave free while it waits, and not for ever.

    Args:
        slots: those of the queue.
    """

    def __init__(self, slots: int) -> None:
        self._most = PER_SLOT * slots
        self._overtaken: Counter[str] = Counter()

    def allows(self, job_id: str) -> bool:
        """Tell whether one more may start before this job, whose turn it is."""
        return self._overtaken[job_id] < self._most

    def note(self, job_id: str) -> None:
        """One has started before this job."""
        self._overtaken[job_id] += 1

    def forget(self, job_id: str) -> None:
        """It has started itself."""
        self._overtaken.pop(job_id, None)

    def drop(self, job_ids: Container[str]) -> None:
        """These do not wait any more."""
        for job_id in [each for each in self._overtaken if each in job_ids]:
            del self._overtaken[job_id]

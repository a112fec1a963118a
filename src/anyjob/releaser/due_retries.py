"""Jobs of engines that go again: each is handed over when its next attempt is due."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from anyjob.execution.next_attempt import still_to_wait
from anyjob.ledger.releasing.releases import Releases


class DueRetries:
    """What is due, and when: by a clock that nobody sets, since what the ledger says was read.

    Args:
        releases: what the ledger knows of it.
    """

    def __init__(self, releases: Releases) -> None:
        self._releases = releases
        self._due: dict[tuple[str, int], float] = {}

    @property
    def pause(self) -> float:
        """Seconds until the next is due."""
        return max(0.0, min(self._due.values(), default=math.inf) - time.monotonic())

    def begin(self, bulks: Sequence[int]) -> bool:
        """Have what is due be handed over next; tell whether more of these bulks goes again.

        Raises:
            StateError: the ledger cannot be read or written.
        """
        now, clock = time.monotonic(), time.time()
        known, self._due = self._due, {}
        due = []
        for each in self._releases.due_attempts(bulks):
            key = each.job_id, each.attempt
            at = known.get(key, now + still_to_wait(each.due, each.wait, clock))
            if at <= now:
                due.append(each.job_id)
            else:
                self._due[key] = at
        if due:
            self._releases.begin_attempts(due)
        return bool(self._due)

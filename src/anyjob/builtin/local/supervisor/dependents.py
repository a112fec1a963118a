"""Jobs that start after others, where it is not this supervisor that sees the end of those."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from anyjob.builtin.local.supervisor.ledger_writer import LedgerWriter
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.ledger.store import Ledger

POLL = 1.0
"""Seconds between two looks into the ledger while jobs wait for others, of whatever backend or host."""

SOON = 0.05
"""Seconds after which it is looked whether new jobs start after others: many may be new at a time."""


class Dependents:
    """What jobs of this host wait for others, and whether others have ended these or let them start.

    Args:
        ledger: where that stands.
        writer: cleans up after those that have ended, and tells of them.
        scheduler: hears of those that may start.
        host: this host.
    """

    def __init__(self, ledger: Ledger, writer: LedgerWriter, scheduler: Scheduler, host: str) -> None:
        self._ledger = ledger
        self._writer = writer
        self._scheduler = scheduler
        self._host = host
        self._heard: list[str] = []
        self._due = 0.0
        self.are_waiting = False
        """Whether any did when the ledger was looked into."""

    def look_soon(self, delay: float) -> None:
        """There are new jobs in the ledger, or may be: some of them may start after others."""
        self._due = min(self._due, time.monotonic() + delay)

    def hear(self, job_ids: Sequence[str]) -> None:
        """A client has ended jobs of ours in the ledger, or let them start, by the end of others."""
        self._heard += job_ids
        self._due = 0.0

    def wait_for_these_alone(self) -> bool:
        """Tell whether any wait for nothing but one of those whose end is to be written: it is, at once then.

        Raises:
            StateError: the ledger cannot be read.
        """
        return self.are_waiting and self._ledger.dependencies.is_last_needed(self._writer.ended)

    @property
    def pause(self) -> float:
        """How long until the next look is due, in seconds."""
        return max(0.0, self._due - time.monotonic())

    def check(self) -> None:
        """Look into the ledger, if that is due.

        Raises:
            StateError: it cannot be read.
        """
        now = time.monotonic()
        if now < self._due:
            return
        heard = self._ledger.rows(self._heard).values() if self._heard else ()
        self._writer.follow([
            (row.job_id, row.bulk)
            for row in heard
            if row.reason == "dependency" and self._scheduler.is_here(row.backend)
        ])  # fmt: skip
        were_waiting, self.are_waiting = (
            self.are_waiting,
            self._ledger.dependencies.any_waiting(self._host),
        )
        if were_waiting or self._heard:
            self._scheduler.released_all()
        self._heard = []
        self._due = now + POLL if self.are_waiting else math.inf

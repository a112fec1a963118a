"""What keeps a supervisor from going on, most likely a full disk: tried again, and told to who waits."""

from __future__ import annotations

import time

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.supervisor.clients import Clients
from anyjob.errors import StateError
from anyjob.ledger.file.disk_reserve import Reserve
from anyjob.text.full_disk import explain

FIRST, LAST = 0.5, 5.0
"""Seconds after which what has failed is tried again: twice as many each time, up to the last."""
REMIND = 15.0
"""Seconds after which who waits is told again."""


class WriteFailures:
    """None, or one: why nothing goes on.

    Args:
        clients: who is told.
        reserve: room on the disk, which may be all that is needed.
    """

    def __init__(self, clients: Clients, reserve: Reserve) -> None:
        self._clients = clients
        self._reserve = reserve
        self._pause = 0.0
        self._until = 0.0
        self._told = 0.0

    def __bool__(self) -> bool:
        return self._pause > 0

    @property
    def pause(self) -> float:
        """Seconds until it is tried again."""
        return max(0.0, self._until - time.monotonic())

    def is_over(self, hindrance: str) -> None:
        """All has gone well, but for what hinders some jobs."""
        self._pause = 0.0
        self._reserve.keep()
        if hindrance:
            self.tell(hindrance)
        else:
            self._clients.trouble = ""

    def begin(self, error: StateError | OSError) -> None:
        """Something has failed."""
        if self._reserve.give_up():
            self._pause, self._until = FIRST / 2, 0.0  # at once
            return
        self._pause = min(max(FIRST, self._pause * 2), LAST)
        self._until = time.monotonic() + self._pause
        why = f"{error.filename}: {explain(error)}" if isinstance(error, OSError) else str(error)
        text = f"jobs of the local backend do not go on: {why}; they do once that is mended"
        if text != self._clients.trouble:
            log_error(error)
        self.tell(text)

    def tell(self, text: str) -> None:
        """Tell who waits, now and again, and who comes meanwhile."""
        if text != self._clients.trouble or time.monotonic() - self._told > REMIND:
            self._clients.trouble, self._told = text, time.monotonic()
            self._clients.warn(text)

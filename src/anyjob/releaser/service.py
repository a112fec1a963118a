"""The releaser's service: it looks, hands over, and listens for the end of what others wait for."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from anyjob.builtin.local.error_log import log_error
from anyjob.errors import AnyjobError, StateError
from anyjob.ledger.releasing.releases import Releases
from anyjob.ledger.releasing.submitters import Submitters
from anyjob.releaser.awaited_jobs import AwaitedJobs
from anyjob.releaser.due_retries import DueRetries
from anyjob.releaser.late_submission import Handover
from anyjob.releaser.readings import Readings
from anyjob.session.facade import Session

POLL = 0.5
"""Seconds between two looks into the ledger, at least, while nothing is heard."""
SHARE = 0.1
"""The share of the time that such looks may take, at most; a handover is no part of one."""
LINGER = 2.0
"""Seconds without anything to do after which a releaser ends: others may wait for what it has handed over."""
KEPT_UP = 5.0
"""Seconds between two times that the supervisor is seen to, which starts this one anew."""
PATIENCE = 60.0
"""Seconds for which a ledger that cannot be used is tried again; the next releaser goes on then."""


class Releaser:
    """Releases the jobs that come from one kind of surroundings, which are its own.

    Args:
        session: made of the configuration that is found in these.
        host: this host.
        key: what these surroundings are known by.
        readings: what the call of a job is read within.
    """

    def __init__(self, session: Session, host: str, key: str, readings: Readings) -> None:
        self._session = session
        self._key = key
        self._wake = threading.Event()
        self._releases = Releases(session.ledger, host)
        self._submitters = Submitters(session.ledger, host)
        self._handover = Handover(session, self._releases, f"{host} {key}", readings)
        self._awaited = AwaitedJobs(session, self._wake.set)
        self._seen_to = self._took = 0.0
        self._attempts = DueRetries(self._releases)

    def run(self) -> None:
        """Release until there is nothing to do.

        Raises:
            StateError: the ledger could not be used for a while.
        """
        busy = well = time.monotonic()
        while time.monotonic() - busy < LINGER:
            try:
                if self._look():
                    busy = time.monotonic()
                well = time.monotonic()
            except StateError as error:
                if time.monotonic() - well > PATIENCE:
                    raise
                log_error(f"releaser {self._key}: {error}")
            self._wake.wait(min(max(POLL, self._took / SHARE), self._attempts.pause))
            self._wake.clear()

    def _look(self) -> bool:
        """Do what there is to do; tell whether anything is left."""
        began = time.monotonic()
        mine = [bulk for bulk in self._releases.due() if self._submitters.key(bulk) == self._key]
        waiting = self._attempts.begin(mine)
        self._took = time.monotonic() - began
        is_left = self._handover.go_on(mine)
        began = time.monotonic()
        awaited = self._releases.awaited(mine)
        self._took += time.monotonic() - began
        self._awaited.watch(awaited)
        if mine and time.monotonic() - self._seen_to > KEPT_UP:
            self._seen_to = time.monotonic()
            with suppress(AnyjobError):
                self._session.services.look_after_releases()
        return bool(is_left or awaited or waiting)

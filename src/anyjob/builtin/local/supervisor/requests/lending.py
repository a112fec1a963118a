"""Jobs that wait for other jobs: others have their places meanwhile, until they go on."""

from __future__ import annotations

from collections import Counter

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.supervisor.keepers.keeper_link import KeeperLink
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.errors import StateError
from anyjob.ledger.store import Ledger

Key = tuple[str, int]
"""Id and attempt of a job."""
NOTED = 0.5
"""Seconds of waiting from which the ledger says so: many a wait is over before."""


class Lending:
    """Which jobs wait, as their processes say; each process that does counts, for a job may have several.

    A job that goes on has its place at once: until one of the others has ended, there are more than slots.

    Args:
        loop: the supervisor's event loop.
        scheduler: knows what runs.
        keeper: is told, too, since it has some more jobs at hand than there are slots.
        ledger: where it stands for a person that a job waits.
        host: the name of this machine.
    """

    def __init__(
        self, loop: EventLoop, scheduler: Scheduler, keeper: KeeperLink, ledger: Ledger, host: str
    ) -> None:
        self._loop = loop
        self._scheduler = scheduler
        self._keeper = keeper
        self._ledger = ledger
        self._host = host
        self._waiting: Counter[Key] = Counter()
        self._noted: set[Key] = set()

    def begin(self, key: Key) -> None:
        """A process of a job waits for others."""
        self._waiting[key] += 1
        if self._waiting[key] == 1:
            self._lend(key)
            self._loop.call_later(NOTED, self._note, key)

    def end(self, key: Key) -> None:
        """A process that has waited goes on, or is gone."""
        self._waiting[key] -= 1
        if self._waiting[key] > 0:
            return
        del self._waiting[key]
        if self._scheduler.take_back(*key):
            self._keeper.tell({"op": "take_back", "id": key[0], "attempt": key[1]})
        if key in self._noted:
            self._noted.discard(key)
            self._write(key[0], False)

    def renew(self) -> None:
        """The keeper knows of none: tell it of all."""
        self._ledger.none_waits(self._host)
        self._noted.clear()
        for key in self._waiting:
            self._lend(key)
            self._loop.call_later(NOTED, self._note, key)

    def _lend(self, key: Key) -> None:
        if self._scheduler.lend(*key):
            self._keeper.tell({"op": "lend", "id": key[0], "attempt": key[1]})

    def _note(self, key: Key) -> None:
        running = self._scheduler.running(key[0])
        if key in self._waiting and key not in self._noted and running and running[0].attempt == key[1]:
            if self._write(key[0], True):
                self._noted.add(key)
            else:  # that it runs is written later than its processes can say that they wait
                self._loop.call_later(NOTED, self._note, key)

    def _write(self, job_id: str, waits: bool) -> bool:
        try:
            return self._ledger.note_waiting(job_id, waits)
        except StateError as error:  # nothing hangs on it
            log_error(error)
            return False

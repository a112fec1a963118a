"""The supervisor's connection to the keeper: who does not answer is asked whether he is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.keeper.log.lines import ReplayedLog
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.keepers.keeper_startup import (
    KeeperConnection,
    connect_keeper,
    supervisor_command,
)

PATIENCE = 5.0
"""Seconds that a keeper may take to say hello, or to start, before clients are served without it."""
PING = 5.0
"""Seconds after which a keeper that has jobs, and says nothing, is asked whether it is there."""
SILENCE = 15.0
"""Seconds without an answer after which those who wait are told."""
COMPACT = 4 << 20
"""Bytes of the keeper's log that are kept though the ledger has them."""


class KeeperLink:
    """The connection, where there is one.

    Args:
        loop: the supervisor's event loop.
        paths: where the keeper is.
        on_message: called with each message of the keeper.
        warn: tells those who wait that what they wait for does not come, and why.

    Attributes:
        logged: the offset in the keeper's log of what was told last.
    """

    def __init__(
        self,
        loop: EventLoop,
        paths: RuntimePaths,
        on_message: Callable[[dict[str, Any]], None],
        warn: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._paths = paths
        self._on_message = on_message
        self._warn = warn
        self._frames: FrameSocket | None = None
        self._pid = 0
        self.logged = self._compacted = 0
        self._heard = self._told = time.monotonic()
        self._pinged: float | None = None
        self._is_waiting = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a keeper that has answered."""
        return self._frames is not None

    def connect(
        self, account: Callable[[ReplayedLog], None], go_on: Callable[[], bool]
    ) -> KeeperConnection | None:
        """Connect to the keeper, or to a new one.

        Args:
            account: called with what the log says of one that has died.
            go_on: called again and again while one does not answer; tells whether to wait on.

        Returns:
            None where ``go_on`` has said so.
        """
        self._heard = self._told = time.monotonic()
        found = connect_keeper(self._paths, account, lambda: self._wait(go_on))
        if found is not None:
            self._frames, self._pid = found.frames, found.pid
            # It may be of another installation, which is gone by now.
            self.name_successor(supervisor_command(self._paths))
            self._is_waiting = False  # as the keeper takes it, of whoever is new
            self.logged = self._compacted = 0
            self._loop.add_reader(found.frames, self._receive)
        return found

    def _wait(self, go_on: Callable[[], bool]) -> bool:
        """A keeper lives, and says nothing: serve clients, and tell them."""
        now = time.monotonic()
        if now - self._heard >= PATIENCE:
            self._pid = lock_holder(self._paths.keeper_lock) or 0
            self._loop.run_once(0)
            if now - self._told >= SILENCE:
                self._told = now
                self._warn(self.silence())
        return go_on()

    def name_successor(self, command: list[str]) -> None:
        """Say what the keeper is to start another supervisor with, once this one is gone."""
        self.tell({"op": "supervisor", "command": command})

    def put(self, message: dict[str, Any]) -> None:
        """Send a message with the next `tell` or `flush`; nobody hears it where there is no keeper."""
        if self._frames is not None:
            self._frames.send(message)

    def flush(self) -> None:
        """Send what was put."""
        if self._frames is not None and self._frames.pending:
            self._loop.flush(self._frames)

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message now."""
        self.put(message)
        self.flush()

    def tell_waiting(self, waits: bool) -> None:
        """Say whether jobs go again that do not run now: while they do, another supervisor follows on us."""
        if self._frames is not None and waits is not self._is_waiting:
            self._is_waiting = waits
            self.tell({"op": "waiting", "value": waits})

    def check(self, has_jobs: bool) -> None:
        """Ask a keeper that has said nothing for long; tell clients of one that does not answer."""
        now = time.monotonic()
        if self._frames is None or not has_jobs:
            self._heard, self._pinged = now, None
        elif self._pinged is None and now - self._heard >= PING:
            self._pinged = now
            self.tell({"op": "ping"})
        elif self._pinged is not None and now - self._pinged >= SILENCE:
            self._heard, self._pinged = now, None  # it is asked, and told, again
            self._warn(self.silence())

    def silence(self) -> str:
        """Return what is told of a keeper that does not answer."""
        who, pid = "the keeper of the local backend", self._pid
        what = f"has not answered for {SILENCE:g} s: its jobs cannot start or end."
        if not pid:  # as long as it starts, nobody knows it; to kill 0 would be to kill one's own group
            return f"{who} {what} It starts, or has ended: `anyjob doctor` says what else is wrong"
        return (
            f"{who} (pid {pid}) {what} If it was stopped, have it go on (kill -CONT {pid}); where it is "
            f"killed (kill -KILL {pid}), what it runs is lost"
        )

    def compact(self) -> None:
        """Have the keeper forget what the ledger has by now, where that has become much."""
        if self._frames is not None and self.logged - self._compacted > COMPACT:
            self._compacted = self.logged
            self.tell({"op": "compact", "offset": self.logged})

    def compacted(self, offset: int) -> None:
        """The keeper has a new log."""
        self.logged = self._compacted = offset

    def _receive(self) -> None:
        keeper = self._frames
        assert keeper is not None
        self._heard, self._pinged = time.monotonic(), None
        try:
            for message in keeper.receive():
                self._on_message(message)
        except (EOFError, OSError):
            self._frames = None
            self._loop.remove_reader(keeper)
            keeper.close()

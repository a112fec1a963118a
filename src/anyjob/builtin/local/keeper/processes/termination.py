"""How the processes of jobs are terminated, wherever they have gone: TERM, a grace, KILL."""

from __future__ import annotations

import os
import signal
import time

from anyjob.builtin.local import process_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.job import Key

SWEEP = 0.25
"""Seconds after the end of a job within which what it left behind is looked for."""
GRACE = 1.0
"""Seconds between TERM and KILL for what a job has left behind outside of its group."""


class Termination:
    """The processes of one job that are being terminated."""

    __slots__ = ("deadline", "interval", "key", "on_gone", "pid", "starttime")

    def __init__(self, key: Key, pid: int | None, starttime: int, grace: float) -> None:
        self.key = key
        self.pid = pid
        self.starttime = starttime
        self.deadline = time.monotonic() + grace
        self.interval = 0.02
        self.on_gone: Callable[[], None] | None = None  # called once nothing is left of a job that has ended

    def tree(self, snapshot: process_table.Snapshot, orphans: list[int]) -> list[process_table.Process]:
        """Return the processes that are left, wherever they have gone."""
        seeds = list(orphans)
        if self.pid is not None:
            seeds += snapshot.in_session(self.pid, self.starttime)
        return snapshot.with_descendants(seeds)

    def signal(self, tree: list[process_table.Process], number: int) -> None:
        """Signal all of them, those in the job's own group at once."""
        if any(process.group == self.pid for process in tree):
            try:
                os.killpg(self.pid or 0, number)
            except OSError:
                pass
        for process in tree:
            if process.group != self.pid:
                process_table.send_signal(process, number)

    def shorten_grace(self, grace: float) -> None:
        """Somebody has asked once more, with less grace."""
        self.deadline = min(self.deadline, time.monotonic() + grace)

    def next_check(self) -> float:
        """Return after how many seconds to see what is left."""
        self.interval = min(self.interval * 2, 0.5)
        left = self.deadline - time.monotonic()
        return min(self.interval, left) if left > 0 else self.interval


class Terminator:
    """Terminates the trees of processes of jobs.

    Args:
        loop: the keeper's event loop.
        state: the state directory, which the jobs are marked with.
        runs: tells whether a job has not ended.
        is_known: tells whether a child of the keeper is a job, a zygote or the supervisor.
    """

    def __init__(
        self,
        loop: EventLoop,
        state: bytes,
        runs: Callable[[Key], bool],
        is_known: Callable[[int], bool],
    ) -> None:
        self._loop = loop
        self._state = state
        self._runs = runs
        self._is_known = is_known
        self._all: dict[Key, Termination] = {}
        self._snapshot: process_table.Snapshot | None = None
        self._sweeps_soon = False

    def __bool__(self) -> bool:
        return bool(self._all)

    def get(self, key: Key) -> Termination | None:
        """Return the termination of a job; None where it has not begun."""
        return self._all.get(key)

    def drop_snapshot(self) -> None:
        """Forget what the processes were: a new turn of the loop begins."""
        self._snapshot = None

    def begin(self, termination: Termination) -> None:
        """Terminate a tree of processes: TERM now, KILL after its grace; KILL at once where it has none."""
        self._all[termination.key] = termination
        tree = self._tree(termination)
        if time.monotonic() >= termination.deadline:
            termination.signal(tree, signal.SIGKILL)  # one that is stopped does not get to go on
        else:
            termination.signal(tree, signal.SIGTERM)
            termination.signal(tree, signal.SIGCONT)  # one that is stopped hears of it only then
        self._loop.call_later(termination.next_check(), self._check, termination)

    def clean_up_after(
        self, key: Key, pid: int, starttime: int, grace: float, on_gone: Callable[[], None] | None = None
    ) -> None:
        """Terminate what a job has left behind that has ended; once nothing is left, call ``on_gone``."""
        self.sweep_soon()
        begun = self._all.get(key)
        if begun is not None:
            begun.on_gone = on_gone
            return
        termination = Termination(key, pid, starttime, grace)
        if on_gone is not None:
            self.drop_snapshot()  # it may be older than what is left
            if not self._tree(termination):
                on_gone()
                return
            termination.on_gone = on_gone
        else:
            try:
                os.killpg(pid, 0)
            except OSError:
                return  # as nearly always: nothing is left in its group
        self.begin(termination)

    def sweep_soon(self) -> None:
        """A job has ended, which may have left something behind outside of its group."""
        if not self._sweeps_soon:
            self._sweeps_soon = True
            self._loop.call_later(SWEEP, self.sweep)

    def sweep(self) -> None:
        """Terminate what jobs that have ended have left behind outside of their groups."""
        self._sweeps_soon = False
        children = process_table.children(os.getpid())
        if children is not None and all(map(self._is_known, children)):
            return  # as nearly always: to look at all processes of a large machine takes long
        for key in self._orphans(self._processes()):
            if key not in self._all and not self._runs(key):
                self.begin(Termination(key, None, 0, GRACE))

    def _check(self, termination: Termination) -> None:
        tree = self._tree(termination)
        if not tree and not self._runs(termination.key):
            del self._all[termination.key]
            if termination.on_gone is not None:
                termination.on_gone()
            return
        if time.monotonic() >= termination.deadline:
            termination.signal(tree, signal.SIGKILL)
        self._loop.call_later(termination.next_check(), self._check, termination)

    def _tree(self, termination: Termination) -> list[process_table.Process]:
        snapshot = self._processes()
        return termination.tree(snapshot, self._orphans(snapshot).get(termination.key, []))

    def processes_of(self, key: Key, pid: int | None, starttime: int) -> list[process_table.Process]:
        """Return the processes of a job, wherever they have gone."""
        return self._tree(Termination(key, pid, starttime, 0.0))

    def _processes(self) -> process_table.Snapshot:
        """Return the processes as they are in this turn of the loop."""
        if self._snapshot is None:
            self._snapshot = process_table.Snapshot()
        return self._snapshot

    def _orphans(self, snapshot: process_table.Snapshot) -> dict[Key, list[int]]:
        """Return the processes that were left to us by those that started them, by whose they are."""
        orphans: dict[Key, list[int]] = {}
        ours = os.getpid()
        for pid, process in snapshot.processes.items():
            if process.parent != ours or self._is_known(pid):
                continue
            mark = snapshot.mark(pid)
            if mark is None or mark.is_zygote or os.fsencode(mark.keeper) != self._state:
                continue
            orphans.setdefault((mark.job_id, mark.attempt), []).append(pid)
        return orphans

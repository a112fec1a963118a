"""The ends of jobs: what is left of their processes, wherever it has gone, is ended with them."""

from __future__ import annotations

import os
import signal
import time

from anyjob.builtin.local import process_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from anyjob.builtin.local.keeper.jobs import Key

SWEEP = 0.25
"""Seconds after the end of a job within which what it left behind is looked for."""
GRACE = 1.0
"""Seconds between TERM and KILL for what a job has left behind outside of its group."""


class Termination:
    """The end of a job's processes: TERM, looks, and after the grace KILL until none is left."""

    __slots__ = ("deadline", "key", "pause", "pid", "starttime")

    def __init__(self, key: Key, pid: int | None, starttime: int, grace: float) -> None:
        self.key = key
        self.pid = pid
        self.starttime = starttime
        self.deadline = time.monotonic() + grace
        self.pause = 0.02

    def tree(self, snapshot: process_table.Snapshot, orphans: list[int]) -> list[process_table.Process]:
        """Return the processes that are left, wherever they have gone."""
        seeds = list(orphans)
        if self.pid is not None:
            seeds += snapshot.of_session(self.pid, self.starttime)
        return snapshot.below(seeds)

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

    def hurry(self, grace: float) -> None:
        """Shorten the grace: somebody has asked once more, with less of it."""
        self.deadline = min(self.deadline, time.monotonic() + grace)

    def next_look(self) -> float:
        """Return how long to wait before the next look, in seconds."""
        self.pause = min(self.pause * 2, 0.5)
        left = self.deadline - time.monotonic()
        return min(self.pause, left) if left > 0 else self.pause


class Terminations:
    """The trees of processes that are being ended.

    Args:
        state: the state directory, which the jobs are marked with.
        after: has a function called after so many seconds.
        runs: tells whether a job has not ended.
        is_known: tells whether a child of the keeper is a job, a zygote or the supervisor.
    """

    def __init__(
        self,
        state: bytes,
        after: Callable[..., None],
        runs: Callable[[Key], bool],
        is_known: Callable[[int], bool],
    ) -> None:
        self._state = state
        self._after = after
        self._runs = runs
        self._is_known = is_known
        self._all: dict[Key, Termination] = {}
        self._snapshot: process_table.Snapshot | None = None
        self._to_sweep = False

    def __bool__(self) -> bool:
        return bool(self._all)

    def get(self, key: Key) -> Termination | None:
        """Return the ending of a job; None where it has not begun."""
        return self._all.get(key)

    def look_anew(self) -> None:
        """Forget what the processes were: a new turn of the loop begins."""
        self._snapshot = None

    def begin(self, ending: Termination) -> None:
        """Have a tree of processes end: TERM now, KILL after its grace."""
        self._all[ending.key] = ending
        ending.signal(self._tree(ending), signal.SIGTERM)
        self._after(ending.next_look(), self._look_after, ending)

    def has_ended(self, key: Key, pid: int, starttime: int, grace: float) -> None:
        """End what a job has left behind that has ended by itself."""
        if not self._to_sweep:
            self._to_sweep = True
            self._after(SWEEP, self.sweep)
        if key in self._all:
            return
        try:
            os.killpg(pid, 0)
        except OSError:
            return  # as nearly always: nothing is left in its group
        self.begin(Termination(key, pid, starttime, grace))

    def sweep(self) -> None:
        """End what jobs that have ended have left behind outside of their groups."""
        self._to_sweep = False
        for key in self._orphans(self._look()):
            if key not in self._all and not self._runs(key):
                self.begin(Termination(key, None, 0, GRACE))

    def _look_after(self, ending: Termination) -> None:
        tree = self._tree(ending)
        if not tree and not self._runs(ending.key):
            del self._all[ending.key]
            return
        if time.monotonic() >= ending.deadline:
            ending.signal(tree, signal.SIGKILL)
        self._after(ending.next_look(), self._look_after, ending)

    def _tree(self, ending: Termination) -> list[process_table.Process]:
        snapshot = self._look()
        return ending.tree(snapshot, self._orphans(snapshot).get(ending.key, []))

    def _look(self) -> process_table.Snapshot:
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

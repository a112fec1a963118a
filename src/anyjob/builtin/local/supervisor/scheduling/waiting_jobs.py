"""The jobs of a queue that wait: read from the ledger in the order of their turns, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Container, Set

from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.scheduling.concurrency_limits import ConcurrencyLimits
from anyjob.builtin.local.supervisor.scheduling.ordering import FairOrder, Lane
from anyjob.ledger.encoding import Context, decode_resources
from anyjob.ledger.reading.queue_reader import WaitingRow
from anyjob.ledger.store import Ledger
from anyjob.resources import Resources

BATCH = 500
"""Jobs that are read from the ledger at a time, at most: what waits is not held in memory."""
FEW = 32
"""Jobs that are read anew at least: where those that end let others start, the next such reading is near."""
BATCH_BYTES = 8 << 20
"""Bytes that these should not exceed by much."""


class _LaneJobs:
    """The jobs of a lane: some as they were read; of the others the numbers between which they are."""

    __slots__ = ("ranges", "rows")

    def __init__(self) -> None:
        self.rows: deque[WaitingRow] = deque()
        self.ranges: deque[list[int]] = deque()

    def __bool__(self) -> bool:
        return bool(self.rows or self.ranges)

    def add_range(self, first: int, last: int) -> None:
        if self.ranges and self.ranges[-1][1] == first - 1:
            self.ranges[-1][1] = last
        else:
            self.ranges.append([first, last])


class WaitingJobs:
    """What waits, by lanes. Of many it is held in memory only where they are in the ledger.

    Args:
        ledger: where they are read from.
        bulks: what the jobs of a bulk share.
        number: which backend.
        fair: names take turns; else all of one priority are first in, first out.
        known: returns the ids of jobs that were taken out, of which the ledger may say yet that they wait.
        limits: how many of a name or tag may run at a time.
        depth_below: returns the depth of the jobs that a job has submitted.
        write: writes to the ledger what has happened; called before it is read.
    """

    def __init__(
        self,
        ledger: Ledger,
        bulks: Bulks,
        number: int,
        *,
        fair: bool,
        known: Callable[[], Set[str]],
        limits: ConcurrencyLimits,
        depth_below: Callable[[str], int],
        write: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._bulks = bulks
        self._number = number
        self._fair = fair
        self._known = known
        self._limits = limits
        self._depth_below = depth_below
        self._write = write
        self._turns = FairOrder()
        self._lanes: dict[Lane, _LaneJobs] = {}
        self._batch = 16
        self._seen = 0
        self._served = 0  # since all was read anew
        self._may_have_more = True
        self._is_stale = False

    def __bool__(self) -> bool:
        """Whether something waits, or may."""
        return self._may_have_more or bool(self._turns)

    def rescan(self) -> None:
        """There may be new jobs in the ledger."""
        self._may_have_more = True

    def reread(self) -> None:
        """What waits may be another by now: all of it is read anew with the next job."""
        self._is_stale = self._may_have_more = True

    def drop(self, job_ids: Container[str]) -> None:
        """These do not wait any more: they are forgotten where they have been read already."""
        for jobs in self._lanes.values():
            if jobs.rows:
                jobs.rows = deque(row for row in jobs.rows if row.job_id not in job_ids)

    def next(self, *, nested_first: bool = False, without: Collection[Lane] = ()) -> WaitingRow | None:
        """Take out the job whose turn it is; None where none waits.

        Args:
            nested_first: see `FairOrder.next`.
            without: lanes that are passed by.
        """
        self.refresh()
        allows = None
        if self._limits or without:
            allows = lambda lane: lane not in without and self._limits.allows(lane.limited)  # noqa: E731
        while (lane := self._turns.next(nested_first=nested_first, allows=allows)) is not None:
            jobs = self._lanes[lane]
            if not jobs.rows:
                self._fill(lane, jobs)
            row = jobs.rows.popleft() if jobs.rows else None
            self._turns.served(lane)
            if not jobs:
                self._turns.remove(lane)
                del self._lanes[lane]
            if row is not None:
                self._served += 1
                return row
        return None

    def put_back(self, row: WaitingRow) -> None:
        """Have a job that was taken out be the first of its lane again, whose turn it is."""
        lane = self.lane_of(row)
        self._lanes.setdefault(lane, _LaneJobs()).rows.appendleft(row)
        self._turns.add(lane, first=True)

    def refresh(self) -> bool:
        """Read of what is new; return whether there is a lane that had no jobs before."""
        if not self._may_have_more:
            return False
        self._write()  # else it would read as waiting what has ended
        is_stale, self._is_stale = self._is_stale, False
        batch = self._batch
        if is_stale:
            batch = min(batch, max(FEW, 2 * self._served))
            self._seen = self._served = 0
            self._turns.begin_anew()
            self._lanes.clear()
        known = self._known()
        limit = batch if self._seen else batch + len(known)
        rows = self._ledger.queue.rows(self._number, self._seen, limit)
        self._may_have_more = False
        before = len(self._lanes)
        for row in rows:
            if row.job_id not in known:
                self._add(row)
        if rows:
            self._seen = rows[-1].n
            self._note_size(rows)
        if len(rows) == limit:
            self._add_ranges()
        if is_stale:
            self._turns.restore()
        return len(self._lanes) > before

    def _add(self, row: WaitingRow) -> None:
        lane = self.lane_of(row)
        jobs = self._jobs_of(lane)
        if jobs.ranges:  # those come before it
            jobs.add_range(row.n, row.n)
        else:
            jobs.rows.append(row)

    def _add_ranges(self) -> None:
        """Note where the others are."""
        start = self._seen
        while found := self._ledger.queue.waiting_bulks(self._number, self._seen, BATCH):
            for first, last, context in found:
                self._jobs_of(self._lane(context)).add_range(first, last)
                self._seen = last
        for n, bulk, priority in self._ledger.queue.with_own_priority(self._number, start):
            context = self._bulks.get(bulk).context
            lane = self._lane(context)._replace(priority=priority)
            if lane != self._lane(context):
                self._jobs_of(lane).add_range(n, n)

    def _fill(self, lane: Lane, jobs: _LaneJobs) -> None:
        """Read the next jobs of a lane."""
        self._write()
        known = self._known()
        while jobs.ranges and not jobs.rows:
            first, last = jobs.ranges[0]
            rows = self._ledger.queue.rows(self._number, first - 1, self._batch, last)
            if len(rows) < self._batch:
                jobs.ranges.popleft()
            else:
                jobs.ranges[0][0] = rows[-1].n + 1
            # A job that was given another priority is in another lane, too.
            jobs.rows.extend(
                row for row in rows if row.job_id not in known and self.lane_of(row)[::2] == lane[::2]
            )
            self._note_size(rows)

    def _note_size(self, rows: list[WaitingRow]) -> None:
        if rows:
            size = sum(len(row.payload or b"") for row in rows) // len(rows) + 100
            self._batch = min(BATCH, max(1, BATCH_BYTES // size))

    def _jobs_of(self, lane: Lane) -> _LaneJobs:
        jobs = self._lanes.get(lane)
        if jobs is None:
            jobs = self._lanes[lane] = _LaneJobs()
            self._turns.add(lane)
        return jobs

    def lane_of(self, row: WaitingRow) -> Lane:
        """Return in which line a job waits."""
        bulk = self._bulks.get(row.bulk)
        lane = self._lane_for(bulk.context, bulk.resources)
        return lane if row.priority is None else lane._replace(priority=row.priority)

    def _lane(self, context: Context) -> Lane:
        return self._lane_for(context, decode_resources(context.resources))

    def _lane_for(self, context: Context, resources: Resources) -> Lane:
        depth = self._depth_below(context.parent) if context.parent else 0
        name = resources.name if self._fair else ""
        return Lane(resources.priority, depth, name, self._limits.limited(resources))

"""The queue of one `local` backend: by priority, names take turns, as far as there is room."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from anyjob.builtin.local.machine.totals import totals
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs.bulks import Bulk, Bulks
from anyjob.builtin.local.supervisor.jobs.capacity import Capacity
from anyjob.builtin.local.supervisor.jobs.file_copies import FilesNotThereYet
from anyjob.builtin.local.supervisor.jobs.orders import OrderBuilder
from anyjob.builtin.local.supervisor.jobs.scheduled_job import ScheduledJob
from anyjob.builtin.local.supervisor.scheduling.backfill import Backfill
from anyjob.builtin.local.supervisor.scheduling.concurrency_limits import ConcurrencyLimits
from anyjob.builtin.local.supervisor.scheduling.ordering import Lane
from anyjob.builtin.local.supervisor.scheduling.prefetch import Prefetch
from anyjob.builtin.local.supervisor.scheduling.waiting_jobs import WaitingJobs
from anyjob.errors import JobRejectedError, StateError
from anyjob.execution.spawning import NoRoomForFilesError
from anyjob.ledger.reading.queue_reader import WaitingRow
from anyjob.ledger.rows import Row
from anyjob.ledger.store import Ledger
from anyjob.text.full_disk import explain, is_full, way_out

LOOK = 128
"""Jobs that are looked at, at most, for one that fits in where the one whose turn it is does not."""
LOOK_IN_LANE = 8
"""Of these, those of one lane, at most: many that wait for the same are not to hide what is behind them."""
ROOM = 5.0
"""Seconds after which it is looked again whether the large files of jobs fit onto the disk."""
SET_ASIDE = 1000
"""Jobs that wait for that, or for the copies of large files, at most, while those behind them go on."""


class _Ready(NamedTuple):
    job: ScheduledJob
    order: Any
    row: WaitingRow
    lane: Lane


class Queue:
    """What waits and what runs, of one backend.

    Args:
        ledger: where what waits is read from.
        paths: where spools are.
        bulks: what the jobs of a bulk share.
        number: which backend.
        shared: what all queues of this machine have together.
        depth_below: returns the depth of the jobs that a job has submitted: see `ordering.Lane`.
        write: writes to the ledger what has happened; called before it is read.

    Raises:
        StateError: the backend is that of another host.
    """

    def __init__(
        self,
        ledger: Ledger,
        paths: RuntimePaths,
        bulks: Bulks,
        number: int,
        shared: Capacity,
        depth_below: Callable[[str], int],
        write: Callable[[], None],
    ) -> None:
        row = ledger.backend_row(number)
        if row.host != paths.host:
            raise StateError(f"backend {row.label!r} is that of host {row.host!r}, not of {paths.host!r}")
        self._bulks = bulks
        self._depth_below = depth_below
        self._options = row.options
        self._shared = shared
        self._capacity = Capacity(shared=shared)
        self.shared_limits: dict[str, int] = row.options.get("shared") or {}
        self._orders = OrderBuilder(ledger, paths, number, row.options)
        self.grace = self._orders.grace
        if self._orders.durable:
            ledger.require_full()
        self._lent: set[str] = set()
        self._without_room: set[str] = set()
        self._without_files: set[str] = set()
        self._room_due = math.inf
        self.hindrance = ""
        """Why jobs do not start whose turn it was, while others go on; empty where there are none."""
        self.running: dict[str, ScheduledJob] = {}
        self._fair = fair = row.options.get("order", "fair") == "fair"
        self._limits = ConcurrencyLimits()
        self._waiting = WaitingJobs(
            ledger,
            bulks,
            number,
            fair=fair,
            known=self._taken_out,
            limits=self._limits,
            depth_below=depth_below,
            write=write,
        )
        self._ready: deque[_Ready] = deque()
        self.adjust(ledger.settings(number))

    def adjust(self, settings: Mapping[str, Any]) -> None:
        """Have these options hold in place of those that the backend was made with: nobody loses anything."""
        options = {**self._options, **settings}
        self._slots = self._orders.slots = int(options["slots"])
        self._ahead = Prefetch(self._slots)
        self._capacity.limits = totals(options)
        self._overtaking = Backfill(self._slots)
        self._put_back()
        if self._limits.set(options.get("limits") or {}):
            self._waiting.reread()  # others stand in one line now

    @property
    def has_waiting(self) -> bool:
        """Whether something waits, or may."""
        return bool(self._waiting or self._ready or self._without_room or self._without_files)

    @property
    def pause(self) -> float:
        """Seconds until there is something to do in any case."""
        return max(0.0, self._room_due - time.monotonic())

    def rescan(self) -> None:
        """There may be new jobs in the ledger."""
        self._waiting.rescan()

    def released(self) -> None:
        """Jobs may start that have been in the ledger for long."""
        self._waiting.reread()

    def reread(self) -> None:
        """What waits may be another by now, or in another order."""
        for each in self._ready:
            self._limits.give_back(each.job.job_id)
        self._ready.clear()
        self._waiting.reread()

    def drop(self, job_ids: Container[str]) -> None:
        """Jobs that wait were cancelled: they are forgotten where they have been read already."""
        self._waiting.drop(job_ids)
        self._overtaking.drop(job_ids)
        self._orders.copies.forget(job_ids)
        for each in self._ready:
            if each.job.job_id in job_ids:
                self._limits.give_back(each.job.job_id)
        self._ready = deque(each for each in self._ready if each.job.job_id not in job_ids)

    def forget_running(self) -> None:
        """Nothing is known of what runs: the keeper is gone."""
        self.running.clear()
        self._capacity.clear()
        self._lent.clear()
        self.reread()
        self._limits.clear()

    def take(self) -> Iterator[tuple[ScheduledJob, Any]]:
        """Yield the jobs that the keeper is to have now, each with its order.

        Those that ask for nothing but cpus are some more than there are slots for: the keeper has them begin.
        Of one that no order can be made of, or that asks for more than there is, what is wrong is yielded in
        place of that, and it takes nothing.
        """
        ahead = self._ahead.count
        while self._capacity.taken("cpus") < self._slots + ahead and self.prepare(1):
            first = self._ready[0].job.job_id
            taken = self._give(0, ahead) or self._overtake(first)
            if taken is not None:
                yield taken
            elif not self._ready or self._ready[0].job.job_id == first:
                return  # else somebody has come meanwhile, whose turn it is

    def lacks_shared(self) -> frozenset[str]:
        """Return what the job that is next lacks of that which all queues have together."""
        if not self._ready:
            return frozenset()
        return self._capacity.lacks_shared(self._ready[0].job.demand)

    def _give(
        self, place: int, ahead: int, beside: Capacity | None = None
    ) -> tuple[ScheduledJob, Any] | None:
        """Give what it asks for to a job whose order is at hand; None where it has to wait for that."""
        job, order, *_ = self._ready[place]
        if not isinstance(order, Exception):
            if self._capacity.holds(job.job_id):
                return None  # its last attempt is not gone yet
            begins_later = bool(ahead) and self._may_begin_later(job)
            beyond = ahead if begins_later else 0
            devices = self._capacity.take(job.job_id, job.demand, beyond=beyond, beside=beside)
            if devices is not None:
                job.devices = devices
                self._orders.grant(order, devices, begins_later=begins_later)
                self.running[job.job_id] = job
            elif (shortage := self._capacity.shortage(job.demand)) is not None:
                order = JobRejectedError(
                    f"it asks for {shortage.asked:g} {shortage.name}, and there are {shortage.there:g} by now"
                )
            else:
                return None
        if isinstance(order, Exception):
            self._limits.give_back(job.job_id)
        del self._ready[place]
        self._overtaking.forget(job.job_id)
        return job, order

    def _overtake(self, first: str) -> tuple[ScheduledJob, Any] | None:
        """Give what it asks for to a job behind the one that has to wait, if one fits in meanwhile.

        Who leaves that one what it asks for does not keep it waiting, and may start at any time.
        """
        if not self._fair:
            return None
        beside = self._capacity.beside(self._ready[0].job.demand)
        looked_at: Counter[Lane] = Counter()
        for place in range(1, LOOK):
            looked_at[self._ready[place - 1].lane] += 1
            self.prepare(place + 1, {lane for lane, count in looked_at.items() if count >= LOOK_IN_LANE})
            if len(self._ready) <= place or self._ready[0].job.job_id != first:
                return None
            delays = not beside.fits(self._ready[place].job.demand)
            if delays and not self._overtaking.allows(first):
                continue
            if (taken := self._give(place, 0, None if delays else beside)) is not None:
                if delays:
                    self._overtaking.note(first)
                return taken
        return None

    def _may_begin_later(self, job: ScheduledJob) -> bool:
        """Tell whether the keeper can have a job begin by itself, when it has slots for it.

        It keeps their order: so one that is larger than those before it would have it leave slots free.
        """
        alone = len(job.demand.counts) == 1 and not job.demand.takes_gpu and not self._shared.counts("cpus")
        return alone and (job.slots == 1 or all(each.slots == job.slots for each in self.running.values()))

    def prepare(self, count: int, without: Collection[Lane] = ()) -> bool:
        """Have the orders of so many that wait at hand, none more of some lanes; return whether there is any.

        Jobs with large files let others pass until these are copied, or fit onto the disk.

        Raises:
            OSError: the disk is full.
        """
        if time.monotonic() >= self._room_due:
            self._without_room.clear()
            self.hindrance, self._room_due = "", math.inf
            self.reread()
        if self._without_files and not self._orders.copies.is_busy:
            self._without_files.clear()
            self.reread()
        if self._ready and self._waiting.refresh():
            self._put_back()  # there is somebody new, whose turn it may be
        while len(self._ready) < count and len(self._without_room | self._without_files) < SET_ASIDE:
            try:
                row = self._waiting.next(nested_first=self._owes, without=without)
                if row is None:
                    break
                bulk = self._bulks.of_attempt(row.bulk, row.job_id, row.attempt)
            except StateError:
                self._waiting.reread()  # or what was being read would be forgotten
                raise
            job = self._scheduled(row.job_id, row.attempt, row.bulk, bulk)
            lane = self._waiting.lane_of(row)
            self._limits.take(job.job_id, job.resources)
            try:
                order: Any = self._orders.build(job, bulk, row.payload)
            except FilesNotThereYet:
                self._limits.give_back(job.job_id)
                self._without_files.add(job.job_id)
                continue
            except NoRoomForFilesError as error:
                self._limits.give_back(job.job_id)
                self._let_others_pass(job.job_id, error)
                continue
            except Exception as error:
                if is_full(error):
                    self._limits.give_back(job.job_id)
                    self._waiting.put_back(row)  # until there is room for what it is to find
                    raise
                order = error
            self._ready.append(_Ready(job, order, row, lane))
        return bool(self._ready)

    def _let_others_pass(self, job_id: str, error: NoRoomForFilesError) -> None:
        self._without_room.add(job_id)
        if not self.hindrance:
            self._room_due = time.monotonic() + ROOM
            self.hindrance = (
                f"job {job_id[:8]} waits for room for the large files that go with it: {error.filename}: "
                f"{explain(error)}; others go on meanwhile; {way_out(error)}"
            )

    def _taken_out(self) -> set[str]:
        aside = self._without_room | self._without_files
        return {*self.running, *aside, *(each.job.job_id for each in self._ready)}

    def _put_back(self) -> None:
        while self._ready:
            last = self._ready.pop()
            self._limits.give_back(last.job.job_id)
            self._waiting.put_back(last.row)

    @property
    def _owes(self) -> bool:
        """Whether jobs have given places away, for jobs of jobs, that none of these has."""
        if not self._lent:
            return False
        nested = sum(job.slots for job in self.running.values() if job.depth and job.job_id not in self._lent)
        return nested < sum(self.running[job_id].slots for job_id in self._lent)

    def _scheduled(self, job_id: str, attempt: int, number: int, bulk: Bulk) -> ScheduledJob:
        job = ScheduledJob(job_id, attempt, number, bulk)
        if bulk.context.parent:
            job.depth = self._depth_below(bulk.context.parent)
        return job

    def adopt(self, row: Row, devices: Sequence[str]) -> None:
        """Take in a job that runs already, with the GPUs that it has."""
        if row.job_id not in self.running:
            job = self.running[row.job_id] = self.job(row)
            job.devices = tuple(devices)
            self._capacity.adopt(row.job_id, job.demand, devices)
            self._limits.take(row.job_id, job.resources)

    def job(self, row: Row) -> ScheduledJob:
        """Return a job as this queue sees it."""
        bulk = self._bulks.of_attempt(row.bulk, row.job_id, row.attempt)
        return self._scheduled(row.job_id, row.attempt, row.bulk, bulk)

    def ended(self, job_id: str) -> ScheduledJob:
        """A job has ended, and gives back what it has but for its GPUs, which its processes may still use."""
        self._capacity.give_back(job_id, keep_devices=True)
        self._limits.give_back(job_id)
        self._ahead.job_ended()
        self._lent.discard(job_id)
        return self.running.pop(job_id)

    def freed(self, job_id: str) -> None:
        """Nothing is left of a job that has ended: its GPUs are free."""
        self._capacity.give_back(job_id)

    def hold(self, row: Row, devices: Sequence[str]) -> None:
        """Something may be left of a job that has ended: its GPUs are not free yet."""
        self._capacity.adopt(row.job_id, self.job(row).demand._replace(counts={}), devices)

    def lend(self, job_id: str) -> None:
        """A job that runs waits for others: these may have its slots."""
        self._capacity.lend(job_id)
        self._limits.give_back(job_id)
        self._lent.add(job_id)
        self._put_back()  # those that it waits for are next

    def take_back(self, job_id: str) -> None:
        """A job that has waited goes on: nothing more starts until there are slots again."""
        self._capacity.take_back(job_id)
        self._limits.take(job_id, self.running[job_id].resources)
        self._lent.discard(job_id)

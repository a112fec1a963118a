"""What waits in a queue is read from the ledger bit by bit: nothing twice, nothing lost, nobody starved."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.scheduling import waiting_jobs
from anyjob.builtin.local.supervisor.scheduling.concurrency_limits import ConcurrencyLimits
from anyjob.builtin.local.supervisor.scheduling.ordering import FairOrder
from anyjob.job import JobStatus
from anyjob.ledger.encoding import Context, encode_resources
from anyjob.ledger.rows import BackendRow, NewJob
from anyjob.ledger.store import Ledger
from anyjob.resources import Resources


class Waiting(RuleBasedStateMachine):
    """Holds it against a table of all jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.directory.name))
        self.number = self.ledger.backend(BackendRow("f", "l", "local", "anyjob", {}, "here"))
        self.jobs: dict[str, tuple[int, str]] = {}  # those that wait: priority, name
        self.held: dict[str, tuple[int, str]] = {}
        self.taken: dict[str, Any] = {}
        self.passed: Counter[tuple[int, str]] = Counter()
        self.changed: set[tuple[int, str]] = set()  # lanes that have jobs which were in others
        self.made = 0
        self.waiting = waiting_jobs.WaitingJobs(
            self.ledger,
            Bulks(self.ledger),
            self.number,
            fair=True,
            limits=ConcurrencyLimits(),
            known=lambda: set(self.taken),
            depth_below=lambda parent: 0,
            write=lambda: None,
        )
        self.waiting._batch = 2

    def teardown(self) -> None:
        left = len(self.jobs)
        for _ in range(left):
            self.take()
        assert self.waiting.next() is None
        self.ledger.close()
        self.directory.cleanup()

    def some(self, data: Any, among: Any) -> list[str]:
        return list(data.draw(st.lists(st.sampled_from(sorted(among)), min_size=1, max_size=4, unique=True)))

    @rule(name=st.sampled_from("abc"), priority=st.integers(-1, 1), count=st.integers(1, 7))
    def submit(self, name: str, priority: int, count: int) -> None:
        ids = [f"{self.made + each:020x}" for each in range(count)]
        self.made += count
        self.ledger.add(
            self.number,
            [NewJob(job_id, b"") for job_id in ids],
            kind="command",
            native="command",
            context=Context(("command",), encode_resources(Resources(name=name, priority=priority))),
            name=name,
            state=JobStatus.QUEUED,
        )
        self.jobs.update(dict.fromkeys(ids, (priority, name)))
        self.waiting.rescan()

    @rule()
    def take(self) -> None:
        row = self.waiting.next()
        if row is None:
            assert not self.jobs
            return
        lane = self.jobs.pop(row.job_id)  # else it was taken twice, or does not wait
        if lane not in self.changed:  # first in, first out
            assert row.job_id < min((job for job in self.jobs if self.jobs[job] == lane), default="g")
        lanes = {lane, *self.jobs.values()}
        assert lane[0] == max(priority for priority, _ in lanes)
        self.taken[row.job_id] = row, lane
        for other in lanes:
            if other[0] == lane[0]:
                self.passed[other] = 0 if other == lane else self.passed[other] + 1
        self.passed = +Counter({each: self.passed[each] for each in lanes})
        assert max(self.passed.values(), default=0) <= 2 * 3  # each of three names once, and once put back

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def start(self, data: Any) -> None:
        for job_id in self.some(data, self.taken):
            self.ledger.moved([(job_id, JobStatus.RUNNING, 1, 1.0)])
            del self.taken[job_id]

    @precondition(lambda self: self.taken)
    @rule()
    def put_back(self) -> None:
        job_id, (row, lane) = self.taken.popitem()
        self.waiting.put_back(row)
        self.jobs[job_id] = lane
        for other in self.passed:  # which it does not pass by after all
            self.passed[other] -= other[0] == lane[0] and other != lane

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        ids = self.some(data, self.jobs)
        self.ledger.cancel_queued(ids, "here", 1.0)
        self.waiting.drop(set(ids))
        for job_id in ids:
            del self.jobs[job_id]

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def hold(self, data: Any) -> None:
        ids = self.some(data, self.jobs)
        assert sorted(self.ledger.hold(ids, "here")) == ids or len(ids) > 1
        self.waiting.drop(set(ids))
        for job_id in ids:
            self.held[job_id] = self.jobs.pop(job_id)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: Any) -> None:
        ids = self.some(data, self.held)
        self.ledger.release(ids, "here")
        self.waiting.reread()
        for job_id in ids:
            self.jobs[job_id] = self.held.pop(job_id)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), priority=st.integers(-1, 1))
    def change_priority(self, data: Any, priority: int) -> None:
        ids = self.some(data, self.jobs)
        self.ledger.set_priority(ids, "here", priority)
        self.waiting.reread()
        for job_id in ids:
            self.jobs[job_id] = priority, self.jobs[job_id][1]
            self.changed.add(self.jobs[job_id])

    @invariant()
    def what_waits_is_known(self) -> None:
        assert bool(self.waiting) or not self.jobs


Waiting.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestWaiting = Waiting.TestCase


def test_what_has_happened_is_written_before_it_is_read(tmp_path: Path) -> None:
    """A job that has ended, of which the ledger does not know yet, would start once more."""
    ledger = Ledger(tmp_path)
    number = ledger.backend(BackendRow("f", "l", "local", "anyjob", {}, "here"))
    ended = f"{1:020x}"
    ledger.add(
        number,
        [NewJob(ended, b"")],
        kind="command",
        native="command",
        context=Context(("command",), encode_resources(Resources())),
        state=JobStatus.QUEUED,
    )
    waiting = waiting_jobs.WaitingJobs(
        ledger,
        Bulks(ledger),
        number,
        fair=True,
        limits=ConcurrencyLimits(),
        known=set,
        depth_below=lambda parent: 0,
        write=lambda: ledger.moved([(ended, JobStatus.RUNNING, 1, 1.0)]),
    )
    assert waiting.next() is None
    ledger.close()


def test_turns_go_on_where_they_were_when_all_is_read_anew() -> None:
    from anyjob.builtin.local.supervisor.scheduling.ordering import Lane

    turns = FairOrder()
    a, b, c, new = (Lane(0, 0, name) for name in "abcn")
    for lane in (a, b, c):
        turns.add(lane)
    turns.served(a)
    turns.begin_anew()
    for lane in (new, a, b, c):
        turns.add(lane)
    turns.restore()
    order = []
    for _ in range(4):
        lane_now = turns.next()
        assert lane_now is not None
        order.append(lane_now)
        turns.served(lane_now)
    assert order == [b, c, a, new]

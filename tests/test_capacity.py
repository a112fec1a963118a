"""What jobs take of a machine: never more than there is, and all of it is given back."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from anyjob.builtin.local.supervisor.jobs.capacity import PARTS, Capacity, Demand, Device, Shortage

GIB = 2**30
NAMES = ("cpus", "memory", "license")
DEVICES = (Device("0", 24 * GIB), Device("GPU-b", 16 * GIB), Device("2"))

counts = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 4))
demands = st.builds(
    Demand,
    counts,
    st.sampled_from([0, 0, 0, 0.1, 0.25, 1 / 3, 0.5, 0.75, 1, 2, 3]),
    st.sampled_from([0, 0, 0, GIB, 6 * GIB, 8 * GIB, 20 * GIB]),
    st.sampled_from([DEVICES, DEVICES[:1], DEVICES[1:], DEVICES[::-1]]),
)


class Machine(RuleBasedStateMachine):
    """Two queues of one machine, held against a list of what each job was given."""

    @initialize(limits=st.tuples(counts, counts, counts))
    def begin(self, limits: tuple[dict[str, int], ...]) -> None:
        self.shared = Capacity(limits[0])
        self.queues = [Capacity(limits[1], self.shared), Capacity(limits[2], self.shared)]
        self.held: dict[tuple[int, int], tuple[Demand, tuple[str, ...], bool]] = {}
        self.lent: set[tuple[int, int]] = set()
        self.number = 0

    def used(self, name: str, queue: int | None = None) -> int:
        return sum(
            demand.counts.get(name, 0)
            for key, (demand, _, runs) in self.held.items()
            if runs and queue in (None, key[0]) and not (name == "cpus" and key in self.lent)
        )

    @rule(queue=st.integers(0, 1), demand=demands)
    def take(self, queue: int, demand: Demand) -> None:
        capacity = self.queues[queue]
        fits = capacity.fits(demand)
        key = (queue, self.number)
        devices = capacity.take(key, demand)
        assert fits == (devices is not None)
        if devices is None:
            return
        assert capacity.shortage(demand) is None
        assert len(set(devices)) == len(devices) == (max(int(demand.gpus), 1) if demand.takes_gpu else 0)
        assert set(devices) <= {device.id for device in demand.among}
        self.held[key] = demand, devices, True
        self.number += 1
        for name, amount in demand.counts.items():
            for limits, where in ((capacity.limits, queue), (self.shared.limits, None)):
                assert not amount or self.used(name, where) <= limits.get(name, 10**9)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), keep=st.booleans())
    def give_back(self, data: st.DataObject, keep: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        demand, devices, _ = self.held[key]
        self.queues[key[0]].give_back(key, keep_devices=keep)
        self.lent.discard(key)
        if keep and devices:
            self.held[key] = demand, devices, False
        else:
            del self.held[key]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), lends=st.booleans())
    def lend(self, data: st.DataObject, lends: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        if lends:
            self.queues[key[0]].lend(key)
            self.lent |= {key} if "cpus" in self.held[key][0].counts and self.held[key][2] else set()
        else:
            self.queues[key[0]].take_back(key)
            self.lent.discard(key)

    @rule(queue=st.sampled_from([None, 0, 1]), limits=counts)
    def change(self, queue: int | None, limits: dict[str, int]) -> None:
        (self.shared if queue is None else self.queues[queue]).limits = limits

    @rule(queue=st.integers(0, 1), demand=demands)
    def try_out(self, queue: int, demand: Demand) -> None:
        tried = self.queues[queue].copy()
        for key in self.held:
            if key[0] == queue:
                tried.give_back(key)
        if tried.take("tried", demand) is None and not any(key[0] != queue for key in self.held):
            assert tried.shortage(demand) is not None  # an empty machine takes what it can ever take

    @rule(queue=st.integers(0, 1), first=demands, other=demands)
    def wait_beside(self, queue: int, first: Demand, other: Demand) -> None:
        """Who fits beside one that waits does not keep it waiting, whatever is given back."""
        beside = self.queues[queue].beside(first)
        if not beside.fits(other):
            return
        tried = self.queues[queue].copy()
        assert tried.take("other", other, beside=beside) is not None
        assert (tried.take("first", first) is None) == (not self.queues[queue].fits(first))

    @invariant()
    def nothing_is_taken_twice(self) -> None:
        for device in DEVICES:
            whole = [d for d, ids, _ in self.held.values() if device.id in ids and d.gpus >= 1]
            shares = [d for d, ids, _ in self.held.values() if device.id in ids and d.gpus < 1]
            assert len(whole) <= 1
            assert not (whole and shares)
            assert sum(int(Fraction(d.gpus) * PARTS) for d in shares) <= PARTS
            assert sum(d.gpu_memory for d in shares) <= device.memory
            assert all(d.gpu_memory <= device.memory for d in whole)

    @invariant()
    def all_is_accounted_for(self) -> None:
        for name in NAMES:
            assert self.shared.taken(name) == self.used(name)
            assert [queue.taken(name) for queue in self.queues] == [self.used(name, 0), self.used(name, 1)]

    def teardown(self) -> None:
        for queue in getattr(self, "queues", ()):
            queue.clear()
            assert not any(queue.taken(name) for name in NAMES)
        assert not self.held or self.queues[0].fits(Demand({}, 3, 0, DEVICES))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30)


@pytest.mark.parametrize(
    ("share", "number"), [(0.5, 2), (1 / 3, 3), (0.1, 10), (0.05, 20), (0.7, 1), (0.51, 1), (1 / 7, 7)]
)
def test_as_many_shares_fit_on_a_gpu_as_make_a_whole(share: float, number: int) -> None:
    capacity, demand = Capacity(), Demand({}, share, 0, (Device("0"),))
    for key in range(number):
        assert capacity.take(key, demand) == ("0",)
    assert capacity.take("one more", demand) is None


def test_shares_fill_one_gpu_before_they_begin_with_the_next() -> None:
    capacity = Capacity()
    taken = [capacity.take(key, Demand({}, 0.5, 0, DEVICES)) for key in range(3)]
    assert taken == [("0",), ("0",), ("GPU-b",)]
    assert capacity.take("whole", Demand({}, 1, 0, DEVICES)) == ("2",)
    assert capacity.take("another", Demand({}, 1, 0, DEVICES)) is None


def test_a_share_goes_to_the_fullest_gpu_that_has_room() -> None:
    capacity = Capacity()
    assert capacity.take("a", Demand({}, 0.5, 0, DEVICES[:1])) == ("0",)
    assert capacity.take("b", Demand({}, 0.6, 0, DEVICES[1:2])) == ("GPU-b",)
    assert capacity.take("c", Demand({}, 0.4, 0, DEVICES)) == ("GPU-b",)
    assert capacity.take("d", Demand({}, 0.4, 0, DEVICES)) == ("0",)


def test_by_memory_as_many_jobs_share_a_gpu_as_it_has_room_for() -> None:
    capacity, demand = Capacity(), Demand({}, 0, 8 * GIB, DEVICES)
    taken = [capacity.take(key, demand) for key in range(6)]
    assert taken == [("0",), ("0",), ("0",), ("GPU-b",), ("GPU-b",), None]


def test_a_whole_gpu_has_the_memory_that_is_asked_for() -> None:
    capacity = Capacity()
    assert capacity.take("a", Demand({}, 1, 20 * GIB, DEVICES[::-1])) == ("0",)
    assert capacity.take("b", Demand({}, 1, 20 * GIB, DEVICES[::-1])) is None


@pytest.mark.parametrize(
    ("demand", "shortage"),
    [
        (Demand({"cpus": 5}), Shortage("cpus", 5, 4)),
        (Demand({"license": 2}), Shortage("license", 2, 1)),
        (Demand({"cpus": 4, "license": 1, "unlimited": 10}), None),
        (Demand({}, 4, 0, DEVICES), Shortage("gpus", 4, 3)),
        (Demand({}, 0.5, 0, ()), Shortage("gpus", 0.5, 0)),
        (Demand({}, 0, GIB, ()), Shortage("gpus", 1, 0)),
        (Demand({}, 0, 30 * GIB, DEVICES), Shortage("gpu_memory", 30 * GIB, 24 * GIB)),
        (Demand({}, 2, 20 * GIB, DEVICES), Shortage("gpu_memory", 20 * GIB, 16 * GIB)),
        (Demand({}, 2, 16 * GIB, DEVICES), None),
    ],
)
def test_what_never_fits_is_named(demand: Demand, shortage: Any) -> None:
    capacity = Capacity({"cpus": 4}, Capacity({"license": 1}))
    assert capacity.shortage(demand) == shortage


def test_cpus_beyond_the_slots_are_for_jobs_that_begin_later() -> None:
    capacity, one = Capacity({"cpus": 2}), Demand({"cpus": 1})
    assert [capacity.take(key, one, beyond=1) for key in range(4)] == [(), (), (), None]
    assert not capacity.fits(one)
    capacity.give_back(0)
    assert not capacity.fits(one)
    assert capacity.fits(one, beyond=1)


def test_what_is_reserved_is_given_to_nobody() -> None:
    shared = Capacity({"cpus": 4, "license": 1})
    here, there = Capacity({"cpus": 4}, shared), Capacity({"cpus": 4}, shared)
    assert there.take("a", Demand({"cpus": 2})) == ()
    wide = Demand({"cpus": 3})
    assert here.lacks_shared(wide) == {"cpus"}
    shared.reserved = here.lacks_shared(wide)
    assert there.take("b", Demand({"cpus": 1})) is None
    assert there.take("c", Demand({"license": 1})) == ()
    assert there.lacks_shared(Demand({"cpus": 1, "license": 1})) == {"cpus", "license"}
    # What waits for something else keeps nobody from what all have together.
    assert here.lacks_shared(Demand({"cpus": 5})) == frozenset()


def test_who_has_something_cannot_take_more() -> None:
    capacity = Capacity({"cpus": 2})
    capacity.take("a", Demand({"cpus": 1}))
    with pytest.raises(ValueError, match="'a' has something already"):
        capacity.take("a", Demand({"cpus": 1}))


@given(demands, st.lists(st.sampled_from(["0", "GPU-b", "2", "gone"]), unique=True, max_size=2))
def test_what_runs_already_is_adopted_though_there_is_no_room(demand: Demand, devices: list[str]) -> None:
    capacity = Capacity(dict.fromkeys(NAMES, 0))
    capacity.adopt("a", demand, devices)
    for device in devices:
        assert capacity.take("b", Demand({}, 1, 0, (Device(device),))) is None or demand.gpus < 1
    capacity.give_back("b")
    capacity.give_back("a")
    assert not any(capacity.taken(name) for name in NAMES)
    assert capacity.take("b", Demand({}, 3, 0, DEVICES)) == ("0", "GPU-b", "2")


def test_who_overtakes_leaves_the_gpu_that_the_first_one_can_use() -> None:
    """Two of the three do for it, and the first one needs memory, which the third does not tell of."""
    capacity = Capacity()
    first = Demand({}, 0, GIB, DEVICES)
    assert capacity.take("other", Demand({}, 2, 0, DEVICES), beside=capacity.beside(first)) is not None
    assert capacity.fits(first)

"""Whose turn it is among jobs that wait: the highest priority, and within it names take turns."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from anyjob.builtin.local.supervisor.scheduling.ordering import FairOrder, Lane, in_order

lanes = st.builds(Lane, st.integers(-1, 1), st.integers(0, 2), st.sampled_from("abc"))


@given(st.lists(st.tuples(lanes, st.integers(1, 30)), min_size=1))
def test_nobody_is_starved_and_no_priority_is_overtaken(given: list[tuple[Lane, int]]) -> None:
    left: Counter[Lane] = Counter()
    turns = FairOrder()
    for new, count in given:
        left[new] += count
        turns.add(new)
    passed: Counter[Lane] = Counter()  # how often each was passed over since its last turn
    while (lane := turns.next()) is not None:
        assert lane.priority == max(left_of.priority for left_of in left)
        peers = [other for other in left if other.priority == lane.priority]
        for other in peers:
            passed[other] += other != lane
        passed[lane] = 0
        assert max(passed[other] for other in peers) < len({each for each, _ in given})
        turns.served(lane)
        left[lane] -= 1
        if not left[lane]:
            del left[lane]
            turns.remove(lane)
    assert not left
    assert not turns


@given(st.lists(lanes, min_size=1))
def test_jobs_of_jobs_come_first_where_a_place_was_given_away_for_them(given: list[Lane]) -> None:
    turns = FairOrder()
    for lane in given:
        turns.add(lane)
    nested = [lane for lane in given if lane.depth]
    chosen = turns.next(nested_first=True)
    assert chosen is not None
    if nested:
        assert (chosen.depth, chosen.priority) == max((lane.depth, lane.priority) for lane in nested)
    else:
        assert chosen == turns.next()


def test_a_turn_that_is_taken_back_is_the_next() -> None:
    turns = FairOrder()
    a, b = Lane(0, 0, "a"), Lane(0, 0, "b")
    turns.add(a)
    turns.add(b)
    turns.served(a)
    turns.add(a, first=True)
    assert turns.next() == a


def test_all_that_wait_are_put_in_the_order_of_their_turns() -> None:
    sweep, single, urgent = Lane(0, 0, "sweep"), Lane(0, 0, "single"), Lane(5, 0, "urgent")
    waiting = [("a", sweep), ("b", sweep), ("c", sweep), ("d", single), ("e", urgent)]
    assert list(in_order(waiting)) == ["e", "a", "d", "b", "c"]
    assert list(in_order([])) == []

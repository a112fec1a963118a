"""What the keeper has beyond its slots starts as slots become free, and is forgotten with the supervisor."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeper_driver import KeeperDriver, running_keeper

from anyjob.builtin.local.keeper.job import Job
from anyjob.builtin.local.keeper.slots import Slots


def waiter(driver: KeeperDriver, job: str, **more: Any) -> Callable[[], object]:
    """Start a job that runs until what is returned is called."""
    driver.spawn(job, "/bin/sh", "-c", "read line", stdin=driver.fifo(f"{job}.fifo"), **more)
    held = driver.held[-1]
    return lambda: os.write(held, b"go\n")


def test_a_job_beyond_the_slots_starts_when_one_has_ended(tmp_path: Path) -> None:
    with running_keeper(tmp_path) as driver:
        one_slot: dict[str, Any] = {"queue": 1, "capacity": 1}
        go = waiter(driver, "a", **one_slot)
        driver.spawn("b", "/bin/true", **one_slot)
        driver.spawn("c", "/bin/true", **one_slot)
        driver.spawn("other", "/bin/true", queue=2, capacity=1)
        driver.end_of("other")
        assert "b" not in driver.started
        assert "b" not in driver.log().running
        go()
        driver.end_of("a", "b", "c")
        assert driver.ended["a"]["finished"] <= driver.ended["b"]["started"] <= driver.ended["c"]["started"]
        assert {event["code"] for event in driver.ended.values()} == {0}


def test_one_that_waits_is_cancelled_without_having_run(tmp_path: Path) -> None:
    with running_keeper(tmp_path) as driver:
        one_slot: dict[str, Any] = {"queue": 1, "capacity": 1}
        go = waiter(driver, "a", **one_slot)
        driver.spawn("b", "/bin/sh", "-c", "echo ran", **one_slot)
        driver.kill("b")
        assert driver.end_of("b")["cause"] == "cancel"
        assert driver.log().ended["b"]["started"] is None
        assert not (driver.state / "spool" / "b").exists()
        go()
        assert driver.end_of("a")["code"] == 0


@pytest.mark.parametrize("jobs", [1, 3])
def test_those_that_wait_are_forgotten_with_the_supervisor(tmp_path: Path, jobs: int) -> None:
    with running_keeper(tmp_path) as driver:
        one_slot: dict[str, Any] = {"queue": 1, "capacity": 1}
        go = waiter(driver, "a", **one_slot)
        for number in range(jobs):
            driver.spawn(f"b{number}", "/bin/sh", "-c", "echo ran", **one_slot)
        driver.spawn("mark", "/bin/true", queue=2, capacity=1)
        driver.end_of("mark")  # by now it has read all of them
        driver.connection.close()
        driver.connect()
        assert set(driver.log().running) == {"a"}
        go()
        driver.spawn("last", "/bin/true", **one_slot)  # it would come after those that waited
        driver.end_of("a", "last")
        assert set(driver.log().ended) == {"a", "last", "mark"}
        driver.spawn("b0", "/bin/sh", "-c", "echo ran", **one_slot)
        driver.end_of("b0")
        assert driver.text("b0") == "ran\n"


def test_one_that_waits_is_not_in_a_compacted_log(tmp_path: Path) -> None:
    with running_keeper(tmp_path) as driver:
        one_slot: dict[str, Any] = {"queue": 1, "capacity": 1}
        go = waiter(driver, "a", **one_slot)
        driver.spawn("b", "/bin/true", **one_slot)
        driver.send(op="compact")
        driver.wait(lambda: bool(driver.others), "the log is compacted")
        assert set(driver.log().running) == {"a"}
        go()
        driver.end_of("a", "b")


def job(number: int, slots: int) -> Job:
    order = {"id": f"j{number}", "attempt": 1, "spool": "/s", "work": {"kind": "command"}}
    return Job({**order, "queue": 1, "slots": slots, "capacity": 3}, b"/state")


@given(st.lists(st.one_of(st.integers(1, 5), st.none()), max_size=40), st.randoms())
def test_slots_are_never_exceeded_and_nobody_is_overtaken(steps: list[int | None], chance: Any) -> None:
    table = Slots()
    inside: list[Job] = []
    waiting: list[Job] = []
    for number, slots in enumerate(steps):
        if slots is not None:
            new = job(number, slots)
            (inside if table.acquire(new) else waiting).append(new)
        elif inside:
            gone = chance.choice(inside)
            inside.remove(gone)
            admitted = table.release(gone)
            assert admitted == waiting[: len(admitted)]
            inside += admitted
            del waiting[: len(admitted)]
        assert sum(each.slots for each in inside) <= 3 or len(inside) == 1
        assert all(table.is_waiting(each) for each in waiting)
        assert not any(table.is_waiting(each) for each in inside)
        if waiting:  # nobody waits for nothing
            assert sum(each.slots for each in inside) + waiting[0].slots > 3
    assert table.drop_waiting() == waiting


@given(
    st.lists(st.tuples(st.sampled_from(["come", "go", "lend", "take back"]), st.integers(1, 3)), max_size=60),
    st.randoms(),
)
def test_lent_slots_are_had_by_others_until_they_are_taken_back(
    steps: list[tuple[str, int]], chance: Any
) -> None:
    table = Slots()
    inside: list[Job] = []
    lent: list[Job] = []
    waiting: list[Job] = []

    def admit(admitted: list[Job]) -> None:
        assert admitted == waiting[: len(admitted)]
        assert sum(each.slots for each in [*inside, *admitted]) <= 3 or not admitted
        inside.extend(admitted)
        del waiting[: len(admitted)]

    for number, (what, slots) in enumerate(steps):
        if what == "come":
            new = job(number, slots)
            (inside if table.acquire(new) else waiting).append(new)
        elif what == "go" and inside + lent:
            gone = chance.choice(inside + lent)
            (inside if gone in inside else lent).remove(gone)
            admit(table.release(gone))
        elif what == "lend" and inside:
            waits = chance.choice(inside)
            inside.remove(waits)
            lent.append(waits)
            admit(table.lend(waits))
        elif what == "take back" and lent:
            goes_on = chance.choice(lent)
            lent.remove(goes_on)
            inside.append(goes_on)
            table.take_back(goes_on)
        if waiting:  # nobody waits for nothing
            assert sum(each.slots for each in inside) + waiting[0].slots > 3
    table.take_back_all()
    inside += lent
    while inside:
        inside += table.release(inside.pop())
    assert table.drop_waiting() == []

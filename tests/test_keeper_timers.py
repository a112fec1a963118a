"""Timers of the `local` backend's programs: what was called off holds on to nothing."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from pathlib import Path

from keeper_driver import KeeperDriver, running_keeper
from support.waiting import wait_for_file

from anyjob.builtin.local.ipc.event_loop import EventLoop

COUNTING = """
import gc, os, signal, sys
from anyjob.builtin.local.keeper.job import Job
from anyjob.builtin.local.keeper.main import main

def count(*_):
    gc.collect()
    found = sum(isinstance(each, Job) for each in gc.get_objects())
    with open(sys.argv[2] + "/counting", "w") as stream:
        stream.write(str(found))
    os.rename(sys.argv[2] + "/counting", sys.argv[2] + "/counted")

signal.signal(signal.SIGUSR1, count)
main()
"""


class CountingKeeper(KeeperDriver):
    """A keeper that writes into its state directory how many jobs it holds, when it gets SIGUSR1."""

    program = ("-c", COUNTING)


def test_a_job_that_has_ended_is_not_held_until_its_walltime(tmp_path: Path) -> None:
    with running_keeper(tmp_path, driven=CountingKeeper) as driver:
        jobs = [f"job{number}" for number in range(20)]
        for job in jobs:
            driver.spawn(job, "/bin/true", walltime=86400.0)
        driver.spawn("runs", "/bin/sleep", "1000", walltime=86400.0)
        driver.end_of(*jobs)
        driver.start_of("runs")
        os.kill(driver.keeper.pid, signal.SIGUSR1)
        assert wait_for_file(driver.state / "counted") == "1"
        driver.kill("runs", grace=0.1)
        driver.end_of("runs")


class Thing:
    """Something that a timer holds, and calls."""

    def __init__(self, called: list[int], number: int) -> None:
        self.called = called
        self.number = number

    def call(self) -> None:
        self.called.append(self.number)


def test_a_timer_that_was_cancelled_calls_and_holds_nothing() -> None:
    loop = EventLoop()
    called: list[int] = []
    things = [Thing(called, number) for number in range(100)]
    held = [weakref.ref(thing) for thing in things]
    timers = [loop.call_later(0.0 if number < 10 else 86400.0, t.call) for number, t in enumerate(things)]
    del things
    for timer in timers[5:]:
        loop.cancel(timer)
        loop.cancel(timer)
    loop.run_once(0.0)
    assert called == [0, 1, 2, 3, 4]
    loop.cancel(timers[0])  # it was due
    gc.collect()
    assert not [ref for ref in held if ref() is not None]
    loop.call_later(0.0, called.append, 7)
    loop.run_once(0.0)
    assert called[5:] == [7]

"""A clock that goes backwards changes nothing for the jobs of the `local` backend."""

from __future__ import annotations

from pathlib import Path

from keeper_driver import KeeperDriver, running_keeper

BACKWARDS = """
import itertools, time
begun, steps = time.time(), itertools.count()
time.time = lambda: begun - 3600 * next(steps)
from anyjob.builtin.local.keeper.main import main
main()
"""


class BackwardsKeeper(KeeperDriver):
    """A keeper for which an hour less has passed each time that it looks."""

    program = ("-c", BACKWARDS)


def test_walltime_cancel_and_ends_hold_while_the_clock_goes_back(tmp_path: Path) -> None:
    with running_keeper(tmp_path, driven=BackwardsKeeper) as driver:
        driver.spawn("overdue", "/bin/sleep", "60", walltime=0.2)
        driver.spawn("cancelled", "/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.01; done")
        driver.spawn("done", "/bin/true")
        driver.call("call", abs, -1)
        driver.start_of("cancelled")
        driver.kill("cancelled", grace=0.1)
        driver.end_of("overdue", "cancelled", "done", "call")
        causes = {job: event["cause"] for job, event in driver.ended.items()}
        assert causes == {"overdue": "walltime", "cancelled": "cancel", "done": None, "call": None}
        assert driver.value("call") == 1
        assert driver.ended["done"]["finished"] < driver.ended["done"]["started"], "it did go back"
        assert set(driver.log().ended) == set(causes)

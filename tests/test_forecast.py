"""When all jobs will have ended: a guess by those of the same name."""

from __future__ import annotations

import pytest

from anyjob.views.forecast import Run, time_to_go

DONE = Run("fit", "DONE", 0.0, 10.0)


def running(ran: float, name: str = "fit") -> Run:
    return Run(name, "RUNNING", 100.0 - ran, None)


QUEUED = Run("fit", "QUEUED", None, None)


@pytest.mark.parametrize(
    ("runs", "left"),
    [
        ([], None),
        ([DONE], None),
        ([running(1)], None),
        ([DONE, running(4)], 6.0),
        ([DONE, running(4), QUEUED], 16.0),
        ([DONE, running(4), running(4), *[QUEUED] * 4], 26.0),
        ([DONE, running(0), running(9), QUEUED], 10.5),
        ([DONE, QUEUED, QUEUED], 20.0),
        ([DONE, Run("other", "QUEUED", None, None)], 10.0),
        ([DONE, Run("quick", "DONE", 0.0, 2.0), Run("quick", "QUEUED", None, None)], 2.0),
        ([DONE, Run("fit", "ERROR", 0.0, 1.0), Run("fit", "CANCELLED", None, 1.0), QUEUED], 10.0),
        ([DONE, running(30)], 15.0),
        ([DONE, running(30), QUEUED], 35.0),
    ],
)
def test_each_takes_as_long_as_its_like(runs: list[Run], left: float | None) -> None:
    assert time_to_go(runs, 100.0) == left

"""When all jobs will have ended, if they go on as those of the same name went: a pure guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple


class Run(NamedTuple):
    """What is known of one job: its name, its state, and when it started and ended, as far as it has."""

    name: str
    state: str
    started: float | None
    finished: float | None


def time_to_go(runs: Iterable[Run], now: float) -> float | None:
    """Return in how many seconds all jobs will have ended; None where none is open, or nobody can tell.

    Each takes as long as those of its name on average, or else all; one that has run for longer takes half as
    long again. As many run at a time as now. What must wait for others is not looked into.
    """
    took: dict[str, list[float]] = defaultdict(list)
    still_open = []
    for run in runs:
        if run.state == "DONE" and run.started is not None and run.finished is not None:
            took[run.name].append(max(0.0, run.finished - run.started))
        elif run.state in ("RUNNING", "QUEUED", "INITIALIZING", "VALIDATING"):
            still_open.append(run)
    if not took or not still_open:
        return None
    of_all = fmean(each for some in took.values() for each in some)
    for run in still_open:
        if (ran := _ran(run, now)) > of_all:  # else what takes long would not count before it ends
            took[run.name].append(ran)
    usual = {name: fmean(some) for name, some in took.items()}
    left = [_left(usual.get(run.name, of_all), _ran(run, now)) for run in still_open]
    width = sum(run.state == "RUNNING" for run in still_open)
    return max(max(left), sum(left) / max(1, width))


def _left(usual: float, ran: float) -> float:
    return usual - ran if ran < usual else ran / 2


def _ran(run: Run, now: float) -> float:
    return 0.0 if run.started is None or run.state != "RUNNING" else max(0.0, now - run.started)

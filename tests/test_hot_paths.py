"""What a job costs, in numbers that need no clock: statements, messages, turns of the event loops, bytes.

What comes together on an idle machine comes apart on a busy one: so the daemons wait here for as long as it
takes where they wait a little for something to be done with something else; there is a margin for how often
they wake, and the least of a few runs counts. That a job runs is written with its end, then: it is not
counted. Where a limit is passed, something was added to the way of each job; where far less is counted,
lower it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from counted_programs import ASLEEP, COUNTED, Counts, replacements
from running_local import Local, running, until

import anyjob
from anyjob import Call, Command
from anyjob.spool import job_spool

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "command": (Command(["true"]), {}),
    "fork": (Call(abs, (1,)), {}),
    "reuse": (Call(abs, (1,)), {"isolation": "reuse", "recycle": 100_000}),
}
MANY, FEW = 400, 30
RUNS = 4
FILES = {
    "command": {"stdout", "stderr"},
    "fork": {"stdout", "stderr", "claim", "outcome"},
    "reuse": {"stdout", "stderr"},
}
ALONE = {
    "command": {
        "client": {"statements": 10.1, "sent": 1, "received": 2},
        "supervisor": {"statements": 7.1, "sent": 3, "received": 2.1, "wakeups": 2.2},
        "keeper": {"sent": 1.1, "received": 1, "wakeups": 2.2, "log lines": 3, "log bytes": 270},
    },
    "fork": {
        "client": {"statements": 10.1, "sent": 1, "received": 2},
        "supervisor": {"statements": 7.1, "sent": 3, "received": 2.1, "wakeups": 2.2},
        "keeper": {"sent": 2.1, "received": 4, "wakeups": 4.2, "log lines": 3, "log bytes": 270},
    },
    "reuse": {
        "client": {"statements": 10.1, "sent": 1, "received": 2},
        "supervisor": {"statements": 7.1, "sent": 3, "received": 2.1, "wakeups": 2.2},
        "keeper": {"sent": 2.1, "received": 2, "wakeups": 5.2, "log lines": 1, "log bytes": 320},
    },
}
"""At most so many for a job that is submitted and waited for before the next one."""
IN_BULK = {
    "command": {
        "client": {"statements": 3.1, "sent": 0.05, "received": 0.05},
        "supervisor": {"statements": 1.1, "sent": 1.1, "received": 1.2, "wakeups": 0.4},
        "keeper": {"sent": 1.2, "received": 1, "wakeups": 1.1, "log lines": 3, "log bytes": 270},
    },
    "fork": {
        "client": {"statements": 3.1, "sent": 0.05, "received": 0.05},
        "supervisor": {"statements": 1.1, "sent": 1.1, "received": 1.2, "wakeups": 0.4},
        "keeper": {"sent": 2.2, "received": 4, "wakeups": 3, "log lines": 3, "log bytes": 270},
    },
    "reuse": {
        "client": {"statements": 3.1, "sent": 0.05, "received": 0.05},
        "supervisor": {"statements": 1.1, "sent": 1.1, "received": 1.2, "wakeups": 0.4},
        "keeper": {"sent": 1.2, "received": 1.2, "wakeups": 0.3, "log lines": 1, "log bytes": 320},
    },
}
"""At most so many for each of many jobs that are submitted and waited for together."""


def one_by_one(local: Local, spec: Any) -> int:
    for _ in range(FEW):
        local.backend.run(spec).result()
    return FEW


def in_bulk(local: Local, spec: Any) -> int:
    anyjob.wait(local.backend.run_many([spec] * MANY))
    return MANY


class Counted:
    """Counts the calls of Python functions in this thread, as long as it is entered."""

    total = 0

    def __enter__(self) -> Counted:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: object, event: str, argument: object) -> None:
        self.total += event == "call"


def left_in(local: Local) -> set[str]:
    """What the last job has left in its directory."""
    (job,) = local.session.jobs(limit=1)
    directory = job_spool.path_of(local.paths.spool, job.job_id())
    return {path.name.partition(".")[0] for path in directory.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("work", "limits"), [(one_by_one, ALONE), (in_bulk, IN_BULK)])
def test_a_job_costs_no_more_than_it_did(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    work: Callable[[Local, Any], int],
    limits: dict[str, dict[str, dict[str, float]]],
) -> None:
    spec, options = KINDS[kind]
    counts = {program: Counts(tmp_path, program) for program in limits[kind]}
    for where, name, what in replacements(counts["client"], tmp_path):
        monkeypatch.setattr(where, name, what)
    least: dict[tuple[str, str], float] = {}
    with running(tmp_path, **options) as local:
        anyjob.wait(local.backend.run_many([spec] * 20))
        for _ in range(RUNS):
            before = {program: counts[program].now() for program in counts}
            jobs = work(local, spec)
            for program in counts:
                after = counts[program].now()
                for what in COUNTED:
                    count = (after[what] - before[program][what]) / jobs
                    least[program, what] = min(count, least.get((program, what), count))
            over = {at: n for at, n in least.items() if n > limits[kind][at[0]].get(at[1], 0)}
            if not over:
                break
        assert left_in(local) == FILES[kind]
    assert not over
    assert least["keeper", "log lines"] == limits[kind]["keeper"]["log lines"]  # it was counted at all


@pytest.mark.parametrize(("kind", "limit"), [("fork", 81), ("command", 84)])
def test_what_is_alike_of_many_jobs_is_not_done_for_each(tmp_path: Path, kind: str, limit: float) -> None:
    """A job that is queued with others has an id, an index and arguments of its own: calls of functions are
    counted, in the thread that submits.
    """
    spec, options = KINDS[kind]
    calls: dict[int, int] = {}
    with running(tmp_path, **options) as local:
        local.backend.run(spec).result()
        for count in (FEW, MANY):
            specs = [spec] * count
            with Counted() as counted:
                jobs = local.backend.run_many(specs)
            calls[count] = counted.total
            anyjob.wait(jobs)
    assert 30 < (calls[MANY] - calls[FEW]) / (MANY - FEW) <= limit


def test_nothing_is_due_while_there_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither supervisor nor keeper wakes up by itself, though somebody is connected."""
    counts = {program: Counts(tmp_path, program) for program in ("client", "supervisor", "keeper")}
    for where, name, what in replacements(counts["client"], tmp_path, patiently=False):
        monkeypatch.setattr(where, name, what)
    with running(tmp_path) as local:
        local.backend.run(Command(["true"])).result()
        daemons = [counts[program] for program in ("supervisor", "keeper")]
        until(lambda: all(daemon.now()[ASLEEP] for daemon in daemons), "both sleep")

"""The metrics of jobs, by backend and kind of work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from telemetry import Recorded, fail

from anyjob import Call, Command, Session

Open = Callable[..., Session]
CALL = {"anyjob.backend.name": "inline", "anyjob.backend.type": "inline", "anyjob.job.kind": "python"}


def test_jobs_are_counted_by_backend_and_kind(opened: Open, recorded: Recorded) -> None:
    session = opened()
    session.get_backend("inline").run_many([Call(abs, (-1,))] * 3)
    session.run(Command(["true"]), "one")
    session.close()
    unit, points = recorded.points()["anyjob.job.submitted"]
    assert unit == "{job}"
    counted = {point.attributes["anyjob.backend.name"]: (point.value, point.attributes) for point in points}
    assert counted == {
        "inline": (3, CALL),
        "one": (
            1,
            {"anyjob.backend.name": "one", "anyjob.backend.type": "threads", "anyjob.job.kind": "command"},
        ),
    }


def test_times_are_recorded_in_seconds_by_how_jobs_ended(opened: Open, recorded: Recorded) -> None:
    session = opened()
    jobs = [session.run(Call(fn), "inline") for fn in (dict, dict, fail)]
    outcomes = [job.outcome() for job in jobs]
    lasted = [(outcome.finished or 0.0) - (outcome.started or 0.0) for outcome in outcomes]
    points = recorded.points()
    done = {**CALL, "anyjob.job.state": "DONE"}
    failed = {**CALL, "anyjob.job.state": "ERROR", "error.type": "exception"}
    for name in ("anyjob.job.duration", "anyjob.job.queue.duration", "anyjob.job.run.duration"):
        unit, found = points[name]
        assert unit == "s"
        assert [(point.count, dict(point.attributes)) for point in found] == [(2, done), (1, failed)]
    _, found = points["anyjob.job.run.duration"]
    assert [point.sum for point in found] == [sum(lasted[:2]), lasted[2]]
    queued, whole = (
        [point.sum for point in points[f"anyjob.job.{name}"][1]] for name in ("queue.duration", "duration")
    )
    assert whole == pytest.approx([one + other.sum for one, other in zip(queued, found, strict=True)])
    assert found[0].explicit_bounds[0] == 0.01
    assert found[0].explicit_bounds[-1] == 7 * 24 * 3600


def test_a_job_that_never_started_has_no_run(opened: Open, recorded: Recorded) -> None:
    session = opened()
    session.run(Command(["a program that is not there"]), "inline").outcome()
    points = recorded.points()
    assert "anyjob.job.run.duration" not in points
    _, (point,) = points["anyjob.job.duration"]
    assert point.attributes["anyjob.job.state"] == "ERROR"

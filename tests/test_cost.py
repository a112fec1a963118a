"""What jobs cost, and where they are in the queue, as their engines tell it."""

from __future__ import annotations

import pytest
from support.scripted_backends import ScriptedEngine

from anyjob import Call, JobStatus, Observation, Outcome
from anyjob.ledger.encoding import decode_outcome, encode_outcome

QUEUED, RUNNING, DONE = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.DONE


def test_what_the_engine_tells_of_an_open_job_is_in_its_metadata() -> None:
    engine = ScriptedEngine.make(floor=0)
    job = engine.run(Call(abs, (1,)))
    known = job.metadata()
    assert (known["cost"], known["currency"], known["queue_position"]) == (None, "", None)
    engine.seen["n0"] = Observation(QUEUED, queue_position=3)
    job.status()
    assert job.metadata()["queue_position"] == 3
    engine.seen["n0"] = Observation(RUNNING, cost=0.5, currency="USD")
    job.status()
    engine.seen["n0"] = Observation(RUNNING)  # it does not tell each time
    job.status()
    known = job.metadata()
    assert (known["cost"], known["currency"], known["queue_position"]) == (0.5, "USD", None)


@pytest.mark.parametrize(
    ("last", "outcome", "cost"),
    [
        (Observation(DONE), None, (0.5, "USD")),
        (Observation(DONE), Outcome(status=DONE), (0.5, "USD")),
        (Observation(DONE, cost=0.75, currency="USD"), None, (0.75, "USD")),
        (Observation(DONE, cost=0.75), Outcome(status=DONE), (0.75, "")),
        (Observation(DONE, cost=1.0), Outcome(status=DONE, cost=0.0, currency="credits"), (0.0, "credits")),
    ],
)
def test_what_a_job_has_cost_is_kept_with_what_came_of_it(
    last: Observation, outcome: Outcome | None, cost: tuple[float, str]
) -> None:
    engine = ScriptedEngine.make(floor=0)
    job = engine.run(Call(abs, (1,)))
    engine.seen["n0"] = Observation(RUNNING, cost=0.5, currency="USD")
    job.status()
    engine.seen["n0"] = last
    if outcome is not None:
        engine.outcomes["n0"] = outcome
    found = job.outcome(timeout=30)
    assert (found.cost, found.currency) == cost
    assert (job.metadata()["cost"], job.metadata()["currency"]) == cost


def test_the_ledger_keeps_it() -> None:
    outcome = Outcome(status=DONE, cost=0.25, currency="credits")
    assert decode_outcome(encode_outcome(outcome)) == outcome

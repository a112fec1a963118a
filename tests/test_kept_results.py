"""Results that stay with an engine which has graphs of its own, on their way from call to call."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from right_calls import RightCallsBackend

from anyjob import Call, Config, DependencyFailedError, Registry, Session
from anyjob.orders import Answer, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.runtime.dependencies import kept_results
from anyjob.serialization.pickling import dump_call
from anyjob.spool.reports import outcome_from_report
from anyjob.standalone import runner

LIMIT = 30.0
gates: dict[str, threading.Event] = {}


def after(gate: str, value: Any) -> Any:
    gates[gate].wait(LIMIT)
    return value


def fails(gate: str) -> Any:
    gates[gate].wait(LIMIT)
    raise ValueError("too cold")


class GraphBackend(RightCallsBackend):
    """Starts a call when those have ended whose results it takes, as it is given them by an engine."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ended: dict[str, threading.Event] = {}
        self.given: list[dict[str, Any]] = []
        self.unused: list[frozenset[str]] = []

    def keep_results(self, tickets: Sequence[Ticket]) -> Mapping[str, Any]:
        return {ticket.job_id: ticket.native_id for ticket in tickets}

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            native_id = f"call-{len(self.outcomes)}"
            self.outcomes[native_id], self.ended[native_id] = None, threading.Event()
            self.given.append(dict(order.kept))
            self.unused.append(order.unused)
            call = self.make, (native_id, dump_call(order.spec), dict(order.kept))  # type: ignore[arg-type]
            threading.Thread(target=call[0], args=call[1], daemon=True).start()
            yield order, native_id

    def make(self, native_id: str, payload: bytes, kept: dict[str, str]) -> None:
        for needed in kept.values():
            self.ended[needed].wait(LIMIT)
        results = runner.Results({job_id: partial(self.value, needed) for job_id, needed in kept.items()})
        report = runner.pickled(runner.perform(lambda: results.loads(payload)))
        self.outcomes[native_id] = outcome_from_report(report)
        self.ended[native_id].set()

    def value(self, native_id: str, called: str) -> Any:
        outcome = self.outcomes[native_id]
        assert isinstance(outcome, Outcome)
        if outcome.value is None:
            raise runner.broken(called, outcome.status.name, outcome.reason, outcome.message)
        return pickle.loads(outcome.value)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    registry = Registry()
    registry.register_backend("graph", GraphBackend)
    config = Config.from_dict({"backends": {"g": {"type": "graph"}}})
    with Session(config, registry=registry, state=tmp_path / "state") as made:
        yield made


@pytest.fixture
def backend(session: Session) -> GraphBackend:
    made: GraphBackend = session.get_backend("g")
    return made


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name
    gates[name] = threading.Event()
    yield name
    gates.pop(name).set()


def test_what_takes_results_of_open_jobs_is_handed_over_at_once(backend: GraphBackend, gate: str) -> None:
    first = backend.run(after, gate, [1])
    behind = backend.run(len, first)
    last = backend.run(max, [behind, 0], name="last")
    assert behind.native_id()
    assert last.native_id()
    assert backend.given == [{}, {first.job_id(): "call-0"}, {behind.job_id(): "call-1"}]
    gates[gate].set()
    assert last.result(LIMIT) == 1


def test_what_waits_for_something_else_too_is_held(
    session: Session, backend: GraphBackend, gate: str
) -> None:
    first = backend.run(after, gate, 1)
    elsewhere = session.run(after, gate, 2, backend="threads")
    retried = backend.run(after, gate, 3, retries=2)
    for needed in ([first, elsewhere], [first, retried]):
        assert backend.run(sum, needed).native_id() is None
    assert backend.run(sum, [first], after=elsewhere).native_id() is None
    held = backend.run(sum, [first, elsewhere])
    gates[gate].set()
    assert held.result(LIMIT) == 3
    assert {first.job_id(): first.native_id()} in backend.given, "what is there by then stays there"


def test_a_failure_is_the_cause_of_what_the_engine_did_not_make(backend: GraphBackend, gate: str) -> None:
    first = backend.run(fails, gate, name="fit")
    behind = backend.run(len, first, name="count")
    last = backend.run(abs, behind)
    gates[gate].set()
    with pytest.raises(
        DependencyFailedError, match=r"\(fit\) failed .exception: .*, by way of .*\(count\)"
    ) as told:
        last.result(LIMIT)
    assert told.value.prerequisite == first.job_id()
    assert isinstance(told.value.__cause__, ValueError)
    assert last._record.behind is not None
    assert behind.exception(LIMIT)


def test_a_job_that_has_ended_holds_no_other(backend: GraphBackend, gate: str) -> None:
    first = backend.run(after, gate, 1)
    behind = backend.run(Call(max, ([first, 0],)))
    gates[gate].set()
    assert behind.result(LIMIT) == 1
    first_id = first.job_id()
    del first
    assert first_id not in [job.job_id() for job in backend.jobs()]


def test_what_starts_after_open_jobs_is_handed_over_at_once(backend: GraphBackend, gate: str) -> None:
    first = backend.run(after, gate, [1], name="fit")
    behind = backend.run(abs, -1, after=first)
    both = backend.run(len, first, after=[first, behind])
    assert backend.run(abs, -2, after_end=first).native_id() is None
    assert backend.run(abs, -2, after=[first], after_failure=behind).native_id() is None
    there = {first.job_id(): "call-0", behind.job_id(): "call-1"}
    assert backend.given == [{}, {first.job_id(): "call-0"}, there]
    assert backend.unused == [frozenset(), frozenset({first.job_id()}), frozenset({behind.job_id()})]
    gates[gate].set()
    assert (behind.result(LIMIT), both.result(LIMIT)) == (1, 1)


def test_an_engine_is_given_no_edge_for_each_of_many(
    backend: GraphBackend, gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_results, "MOST_EDGES", 3)
    first, other = backend.run(after, gate, 1), backend.run(after, gate, 2)
    held = backend.map(abs, [-1, -2], after=[first, other])
    assert [job.native_id() for job in held] == [None, None]
    assert all(job.native_id() for job in backend.map(abs, [-1, -2], after=first))
    gates[gate].set()
    assert [job.result(LIMIT) for job in held] == [1, 2]

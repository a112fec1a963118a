"""Jobs that start after others, as the ledger keeps them: against a model of it, and in single cases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.ledgers import DONE, ERROR, add, backend, sound_ledger

from anyjob.errors import JobNotFoundError
from anyjob.ledger import dependencies
from anyjob.ledger.encoding import Context, outcome_of
from anyjob.ledger.end_effects import EndEffects
from anyjob.ledger.file.schema import faults
from anyjob.ledger.rows import NewJob, Prerequisite
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.status import JobStatus

AFTER, AFTER_END, AFTER_FAILURE = range(3)
CANCELLED = Outcome(status=JobStatus.CANCELLED, finished=3.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with sound_ledger(tmp_path / "state") as made:
        yield made


def after(ids: Sequence[str], condition: int = AFTER) -> tuple[Prerequisite, ...]:
    return tuple(Prerequisite(job_id, condition) for job_id in ids)


def may_start(ledger: Ledger) -> list[str]:
    return [row[1] for row in ledger.queue.rows(backend(ledger), 0, 100_000)]


def outcome(ledger: Ledger, job_id: str) -> Outcome:
    return outcome_of(ledger.rows([job_id])[job_id])


def message(ledger: Ledger, job_id: str) -> str:
    found = outcome(ledger, job_id)
    assert (found.status, found.reason) == (JobStatus.ERROR, "dependency")
    return found.message


def test_what_starts_after_others_is_queued_and_not_read_as_what_may_start(ledger: Ledger) -> None:
    first = add(ledger, 2)
    (behind,) = add(ledger, after=after(first))
    assert ledger.rows([behind])[behind].status is JobStatus.QUEUED
    assert [row.job_id for row in ledger.select(states=[JobStatus.QUEUED])] == [*first, behind]
    assert ledger.counts() == {"QUEUED": 3}
    assert may_start(ledger) == first
    assert not ledger.dependencies.is_last_needed(first)
    assert ledger.dependencies.any_waiting("h")
    assert not ledger.dependencies.any_waiting("k")
    assert (
        ledger.dependencies.awaited([*first, behind])[behind].in_words()
        == f"waits for {first[0][:7]} and 1 more"
    )
    assert ledger.settle({first[0]: DONE}) == EndEffects([], [])
    assert may_start(ledger) == [first[1]]
    assert ledger.settle({first[0]: DONE}) == EndEffects([], []), "it has ended before: it counts once"
    assert ledger.dependencies.is_last_needed(first)
    assert not ledger.dependencies.is_last_needed([first[0], behind])
    assert ledger.settle({first[1]: DONE}).released == [(behind, backend(ledger))]
    assert may_start(ledger) == [behind]
    assert not ledger.dependencies.any_waiting("h")


@pytest.mark.parametrize("came", [DONE, ERROR, CANCELLED], ids=["done", "error", "cancelled"])
@pytest.mark.parametrize("ended_before", [False, True], ids=["later", "before"])
def test_each_condition(ledger: Ledger, came: Outcome, ended_before: bool) -> None:
    starts = {
        AFTER: came is DONE,
        AFTER_END: True,
        AFTER_FAILURE: came is ERROR,
    }
    (first,) = add(ledger)
    if ended_before:
        ledger.settle({first: came})
    behind = {condition: add(ledger, after=after([first], condition))[0] for condition in starts}
    if not ended_before:
        ledger.settle({first: came})
    assert may_start(ledger) == [behind[condition] for condition, does in starts.items() if does]
    for condition, does in starts.items():
        if not does:
            assert first in message(ledger, behind[condition])


def test_what_failed_first_is_named_and_the_way_from_it(ledger: Ledger) -> None:
    (first,) = add(ledger, name="fit")
    ids = [first]
    for _ in range(6):
        ids += add(ledger, after=after(ids[-1:]))
    ended = ledger.settle({first: Outcome(status=JobStatus.ERROR, reason="exit-code", message="exit code 3")})
    assert [job_id for job_id, _ in ended.ended] == ids[1:]
    cause = f"what it needs did not come about: job {first} (fit) failed (exit-code: exit code 3)"
    assert message(ledger, ids[1]) == cause
    assert message(ledger, ids[2]) == f"{cause}, by way of {ids[1]}"
    assert message(ledger, ids[6]) == f"{cause}, by way of 2 others, {ids[3]}, {ids[4]}, {ids[5]}"
    (later,) = add(ledger, after=after(ids[6:]))
    assert message(ledger, later) == f"{cause}, by way of 3 others, {ids[4]}, {ids[5]}, {ids[6]}"
    assert ledger.dependencies.broken_by(later) == ids[6]
    assert ledger.dependencies.broken_by(ids[1]) == first
    assert ledger.dependencies.broken_by(first) is None


def test_a_cancel_goes_down_the_graph(ledger: Ledger) -> None:
    (first,) = add(ledger)
    (behind,) = add(ledger, after=after([first]))
    (clean_up,) = add(ledger, after=after([behind], AFTER_END))
    (other,) = add(ledger, after=after([first], AFTER_END))
    cancelled, effects = ledger.cancel_queued([first], "h", 5.0)
    assert [row[0] for row in cancelled] == [first]
    assert [job_id for job_id, _ in effects.ended] == [behind]
    assert sorted(job_id for job_id, _ in effects.released) == sorted([clean_up, other])
    assert message(ledger, behind) == f"what it needs did not come about: job {first} was cancelled"


def test_what_needs_a_result_is_not_let_go(ledger: Ledger) -> None:
    (first,) = add(ledger)
    (alone,) = add(ledger, after=after([first]))
    (needs,) = add(ledger, after=after([first], dependencies.RESULT))
    assert [job_id for job_id, _ in ledger.let_go([first]).released] == [alone]
    _, effects = ledger.cancel_queued([first], "h", 5.0)
    assert [job_id for job_id, _ in effects.ended] == [needs]
    assert ledger.let_go([first]) == EndEffects([], [])


def test_what_waits_is_cancelled_as_others_are(ledger: Ledger) -> None:
    (first,) = add(ledger)
    ids = add(ledger, 3, after=after([first]))
    cancelled, _ = ledger.cancel_queued(ids[1:2], "h", 5.0)
    assert [row[0] for row in cancelled] == ids[1:2]
    ledger.settle({first: DONE})
    assert may_start(ledger) == [ids[0], ids[2]]


def test_a_thousand_that_wait_for_a_thousand_are_a_thousand_rows(ledger: Ledger) -> None:
    first = add(ledger, 1000)
    behind = add(ledger, 1000, after=after(first))
    rows = ledger.file.read("SELECT (SELECT count(*) FROM dependencies), (SELECT count(*) FROM dependents)")
    assert rows == [(1000, 1)]
    ledger.settle(dict.fromkeys(first[1:], DONE))
    assert may_start(ledger) == first[:1]
    ledger.settle({first[0]: DONE})
    assert may_start(ledger) == behind


def test_jobs_of_one_bulk_may_wait_for_different_ones(ledger: Ledger) -> None:
    first = add(ledger, 3)
    number = backend(ledger)
    jobs = [NewJob(f"{n:020x}", b"", after=after([needed])) for n, needed in enumerate(first)]
    ledger.add(number, jobs, kind="command", native="command", context=Context(("command",), b"{}"))
    ledger.settle({first[1]: DONE, first[2]: ERROR})
    assert may_start(ledger) == [first[0], jobs[1].job_id]
    assert first[2] in message(ledger, jobs[2].job_id)
    assert [needed.job_id for needed in ledger.dependencies.prerequisites(jobs[1].job_id)] == [first[1]]
    assert ledger.dependencies.dependents([first[1]]) == [(jobs[1].job_id, Prerequisite(first[1], AFTER))]


def test_the_statements_for_an_end_are_one_more_where_nothing_waits(ledger: Ledger) -> None:
    ids = add(ledger, 10)
    seen: list[str] = []
    ledger.file._connection().set_trace_callback(seen.append)
    ledger.settle(dict.fromkeys(ids, DONE))
    ledger.file._connection().set_trace_callback(None)
    assert len([sql for sql in seen if "depend" in sql]) == 1


def test_to_start_after_a_job_that_is_forgotten_is_refused_and_nothing_is_written(ledger: Ledger) -> None:
    (first,) = add(ledger)
    with pytest.raises(JobNotFoundError, match="nothing can start after it"):
        add(ledger, after=after([first, "0" * 20]))
    assert ledger.counts() == {"QUEUED": 1}


def test_what_others_wait_for_is_not_pruned_and_the_rest_leaves_nothing(ledger: Ledger) -> None:
    first = add(ledger, 2)
    (behind,) = add(ledger, after=after(first))
    ledger.settle({first[0]: DONE})
    assert ledger.ended_before(10.0) == []
    ledger.settle({first[1]: DONE})
    assert ledger.ended_before(10.0) == [], "what it has left may be needed by what has not ended"
    ledger.settle({behind: DONE})
    assert ledger.ended_before(10.0) == [*first, behind]
    ledger.remove(first)
    assert ledger.dependencies.prerequisites(behind) == []
    ledger.remove([behind])
    assert ledger.file.read("SELECT count(*) FROM dependencies UNION SELECT count(*) FROM dependents") == [
        (0,)
    ]


def test_what_was_to_start_after_a_job_that_never_came_to_be_ends(ledger: Ledger) -> None:
    (first,) = add(ledger)
    (behind,) = add(ledger, after=after([first]))
    ledger.remove([first])
    assert "failed (lost)" in message(ledger, behind)


def test_a_damaged_ledger_starts_nothing_of_which_it_lost_what_that_waits_for(ledger: Ledger) -> None:
    from anyjob.ledger.file.salvage.repair import repair

    first = add(ledger, 3)
    whole, torn, orphan = (add(ledger, after=after(first))[0] for _ in range(3))
    (far,) = add(ledger, after=after([torn]))
    db = ledger.file._connection()
    number = ledger.rows([torn])[torn].n
    db.execute("DELETE FROM dependencies WHERE dependent = ? AND prerequisite = 2", (number,))
    db.execute("DELETE FROM dependents WHERE n = ?", (number + 1,))
    repair(db)
    assert [outcome(ledger, job_id).reason for job_id in (torn, orphan, far)] == [
        "lost",
        "lost",
        "dependency",
    ]
    ledger.settle(dict.fromkeys(first, DONE))
    assert may_start(ledger) == [whole]


class Graphs(RuleBasedStateMachine):
    """Jobs that start after random others, and end in any order, against what each should come to."""

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.directory.name) / "state")
        self.number = backend(self.ledger)
        self.needs: dict[str, list[Prerequisite]] = {}
        self.state: dict[str, str] = {}  # blocked, queued, done, error, cancelled, dependency
        self.started: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.directory.cleanup()

    @rule(data=st.data(), count=st.integers(1, 3))
    def submit(self, data: Any, count: int) -> None:
        conditions = st.integers(0, 2)
        known = list(self.needs)
        jobs = []
        for n in range(count):
            chosen = data.draw(st.lists(st.sampled_from(known), max_size=4)) if known else []
            needs = tuple(Prerequisite(job_id, data.draw(conditions)) for job_id in chosen)
            job_id = f"{len(self.needs) + n:020x}"
            jobs.append(NewJob(job_id, b"", after=needs))
        self.ledger.add(
            self.number, jobs, kind="command", native="command", context=Context(("command",), b"{}"),
            state=JobStatus.QUEUED,
        )  # fmt: skip
        for job in jobs:
            self.needs[job.job_id] = list(job.after)
            self.state[job.job_id] = "blocked"
        self._follow()

    @rule(data=st.data(), came=st.sampled_from(["done", "error"]))
    def end_some(self, data: Any, came: str) -> None:
        queued = [job_id for job_id, state in self.state.items() if state == "queued"]
        if not queued:
            return
        some = data.draw(st.lists(st.sampled_from(queued), unique=True, min_size=1))
        again = data.draw(st.lists(st.sampled_from(list(self.state)), unique=True))
        ended = [
            job_id for job_id in again if self.state[job_id] in ("done", "error", "cancelled", "dependency")
        ]
        self.ledger.settle(dict.fromkeys([*some, *ended], DONE if came == "done" else ERROR))
        for job_id in some:
            self.started.append(job_id)
            self.state[job_id] = came
        self._follow()

    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        if not self.state:
            return
        some = data.draw(st.lists(st.sampled_from(list(self.state)), unique=True))
        self.ledger.cancel_queued(some, "h", 1.0)
        for job_id in some:
            if self.state[job_id] in ("blocked", "queued"):
                self.state[job_id] = "cancelled"
        self._follow()

    @rule(data=st.data())
    def let_go(self, data: Any) -> None:
        if not self.state:
            return
        some = data.draw(st.lists(st.sampled_from(list(self.state)), unique=True))
        effects = self.ledger.let_go(some)
        before = dict(self.state)
        for job_id, needs in self.needs.items():
            if self.state[job_id] == "blocked":
                self.needs[job_id] = [
                    one
                    for one in needs
                    if one.job_id not in some or before[one.job_id] not in ("blocked", "queued")
                ]
        self._follow()
        started = {job_id for job_id, state in self.state.items() if state != before[job_id]}
        assert {job_id for job_id, _ in effects.released} == started

    def _follow(self) -> None:
        """In the order in which they were submitted, each depends on what is before it alone."""
        meets = {0: {"done"}, 1: {"done", "error", "cancelled", "dependency"}, 2: {"error", "dependency"}}
        for job_id, needs in self.needs.items():
            if self.state[job_id] != "blocked":
                continue
            states = [(self.state[one.job_id], one.condition) for one in needs]
            over = [(state, condition) for state, condition in states if state not in ("blocked", "queued")]
            if any(state not in meets[condition] for state, condition in over):
                self.state[job_id] = "dependency"
            elif len(over) == len(states):
                self.state[job_id] = "queued"

    @invariant()
    def each_is_where_it_should_be(self) -> None:
        if not hasattr(self, "ledger"):
            return
        rows = self.ledger.rows(list(self.state))
        free = {row[1] for row in self.ledger.queue.rows(self.number, 0, 1000)}
        for job_id, state in self.state.items():
            row = rows[job_id]
            seen = row.reason if row.reason == "dependency" else row.status.name.lower()
            if seen == "queued":
                seen = "queued" if job_id in free else "blocked"
            assert seen == state, (job_id, seen, state)
        with self.ledger.file._connection() as db:
            assert faults(db) == []


TestGraphs = Graphs.TestCase
TestGraphs.settings = settings(max_examples=60, stateful_step_count=12)


def test_a_kill_before_the_commit_leaves_both_or_none(tmp_path: Path) -> None:
    """What an end means is part of the transaction that writes it."""
    ledger = Ledger(tmp_path / "state")
    (first,) = add(ledger)
    (behind,) = add(ledger, after=after([first]))
    original = dependencies.advance

    def killed(*given: Any) -> EndEffects:
        original(*given)
        raise sqlite3.OperationalError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dependencies, "advance", killed)
        with pytest.raises(Exception, match="killed"):
            ledger.settle({first: DONE})
    assert ledger.rows([first])[first].status is JobStatus.QUEUED
    assert may_start(ledger) == [first]
    ledger.settle({first: DONE})
    assert may_start(ledger) == [behind]
    ledger.close()

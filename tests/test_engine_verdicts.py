"""What an engine has ended for others, and can start still by what the ledger knows, begins anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ledgers import add, backend, new_ids, sound_ledger

from anyjob.ledger.dependencies import RESULT, SUCCESS
from anyjob.ledger.encoding import Context
from anyjob.ledger.rows import BLOCKED, DUE, NewJob, Prerequisite
from anyjob.ledger.store import Ledger
from anyjob.outcome import KeptByBackend, Outcome
from anyjob.standalone.runner import broken
from anyjob.status import JobStatus


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with sound_ledger(tmp_path / "state") as made:
        yield made


def started_by_engine(ledger: Ledger, engine: int, needs: str, condition: int = RESULT) -> str:
    (job_id,) = new_ids(1)
    job = NewJob(job_id, b"", after=(Prerequisite(needs, condition),), started_by_engine=True)
    ledger.add(
        engine,
        [job],
        kind="python",
        native="python",
        context=Context(("python",), b"{}"),
        state=JobStatus.QUEUED,
    )
    ledger.launched({job_id: f"key-{job_id}"})
    return job_id


def chain(ledger: Ledger, value: object) -> tuple[int, list[str]]:
    engine = backend(ledger, "lab", host="")
    (first,) = add(ledger, number=engine)
    needs = started_by_engine(ledger, engine, first)
    last = started_by_engine(ledger, engine, needs)
    ledger.settle({first: Outcome(status=JobStatus.DONE, value=value)})
    return engine, [first, needs, last]


def ends(first: str, needs: str, last: str) -> dict[str, Outcome]:
    return {job_id: ended(lost=first) for job_id in (needs, last)}


def ended(message: object = "", lost: str = "") -> Outcome:
    return Outcome(status=JobStatus.ERROR, reason="dependency", message=str(message), lost_result=lost)


@pytest.mark.parametrize("backwards", [False, True])
def test_who_was_to_take_it_begins_anew_and_what_is_further_down_waits_for_that(
    ledger: Ledger, backwards: bool
) -> None:
    _, (first, needs, last) = chain(ledger, b"pickled")
    found = ends(first, needs, last)
    for job_id in reversed(found) if backwards else found:  # whichever is heard of first
        effects = ledger.settle({job_id: found[job_id]})
        assert [(each.job_id, each.attempt) for each in effects.again] == [(job_id, 2)]
    rows = ledger.rows([needs, last])
    assert [(rows[job_id].state, rows[job_id].native_id) for job_id in (needs, last)] == [
        (DUE, None),
        (BLOCKED, None),
    ]
    assert [each.kind for each in ledger.attempts.ended(needs)] == ["dependency"]
    assert ledger.attempts.retried(needs) == 0
    assert ledger.attempts.launched_attempts(rows.values()) == {needs: 2, last: 2}
    assert set(ledger.attempts.may_go_again([needs, last])) == {needs, last}
    effects = ledger.settle({needs: Outcome(status=JobStatus.DONE, value=b"", attempt=2)})
    assert [job_id for job_id, _ in effects.released] == [last]


@pytest.mark.parametrize("value", [KeptByBackend("key"), "not settled"])
def test_what_is_stored_nowhere_cannot_be_had_again(ledger: Ledger, value: object) -> None:
    _, (first, needs, last) = chain(ledger, value)
    found = ends(new_ids(1)[0] if value == "not settled" else first, needs, last)
    effects = ledger.settle(found)
    assert effects.again == []
    assert {row.reason for row in ledger.rows([needs, last]).values()} == {"dependency"}


@pytest.mark.parametrize("settled", [False, True])
def test_who_needed_only_the_success_begins_anew_though_nothing_is_stored(
    ledger: Ledger, settled: bool
) -> None:
    engine = backend(ledger, "lab", host="")
    (first,) = add(ledger, number=engine)
    behind = started_by_engine(ledger, engine, first, SUCCESS)
    done = {first: Outcome(status=JobStatus.DONE, value=KeptByBackend("key"))}
    if settled:
        ledger.settle(done)
    effects = ledger.settle({behind: ended(lost=first)})
    assert [each.job_id for each in effects.again] == [behind]
    assert ledger.rows([behind])[behind].state == (DUE if settled else BLOCKED)
    if not settled:
        assert [job_id for job_id, _ in ledger.settle(done).released] == [behind]


def test_who_waits_no_more_for_what_was_cancelled_begins_anew_and_who_needs_its_result_does_not(
    ledger: Ledger,
) -> None:
    engine = backend(ledger, "lab", host="")
    (first,) = add(ledger, number=engine)
    needs = started_by_engine(ledger, engine, first)
    behind = started_by_engine(ledger, engine, first, SUCCESS)
    last = started_by_engine(ledger, engine, behind)
    ledger.let_go([first])
    told = broken(first, "CANCELLED", None, "")
    further = broken(behind, "ERROR", "dependency", str(told))
    effects = ledger.settle({last: ended(further), behind: ended(told), needs: ended(told)})
    assert {each.job_id for each in effects.again} == {behind, last}
    rows = ledger.rows([needs, behind, last])
    assert [rows[each].reason for each in (needs, behind, last)] == ["dependency", None, None]
    assert [rows[each].state for each in (behind, last)] == [DUE, BLOCKED]


def test_who_was_to_start_after_what_has_failed_does_not_begin_anew(ledger: Ledger) -> None:
    engine = backend(ledger, "lab", host="")
    (first, other) = add(ledger, 2, number=engine)
    behind = started_by_engine(ledger, engine, first, SUCCESS)
    last = started_by_engine(ledger, engine, behind, SUCCESS)
    told = broken(first, "ERROR", "exception", "ValueError: no")
    effects = ledger.settle(
        {last: ended(broken(behind, "ERROR", "dependency", str(told))), behind: ended(told)}
    )
    assert effects.again == []
    failed = started_by_engine(ledger, engine, other, SUCCESS)
    ledger.settle({other: Outcome(status=JobStatus.ERROR, reason="signal")})
    assert ledger.settle({failed: ended(lost=other)}).again == []


def test_what_an_engine_starts_by_itself_is_among_what_waits(ledger: Ledger) -> None:
    engine = backend(ledger, "lab", host="")
    (first,) = add(ledger, number=engine)
    behind = started_by_engine(ledger, engine, first, SUCCESS)

    def waiting() -> list[str]:
        return [row.job_id for row in ledger.select(states=[JobStatus.QUEUED], blocked=True)]

    assert waiting() == [behind]
    assert ledger.dependencies.awaited([first, behind])[behind].in_words() == f"waits for {first[:7]}"
    ledger.settle({first: Outcome(status=JobStatus.DONE, value=b"")})
    assert waiting() == []
    assert ledger.dependencies.awaited([first, behind]) == {}

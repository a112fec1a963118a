"""Jobs are looked for by indexes: no query reads those that do not fit."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import DONE, ERROR, add, backend

from anyjob.ledger.reading.queries import FEW, Search
from anyjob.ledger.rows import Row
from anyjob.ledger.store import Ledger
from anyjob.status import JobStatus

QUEUED, RUNNING = JobStatus.QUEUED, JobStatus.RUNNING


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One with 60 bulks of names, tags, states and two backends, mixed by chance."""
    chance = random.Random(1)
    ledger = Ledger(tmp_path_factory.mktemp("select") / "s")
    numbers = [backend(ledger, "laptop", type="local"), backend(ledger, "hpc", type="slurm")]

    def fill() -> None:
        for time in range(60):
            tags = (
                {"study": chance.choice("ab"), "fold": chance.choice("123")} if chance.random() < 0.7 else {}
            )
            ids = add(
                ledger,
                chance.randint(1, 5),
                number=chance.choice(numbers),
                name=chance.choice(["", "fit", "plot"]),
                tags=tags,
                created=1000.0 + time,
            )
            for job_id in ids:
                match chance.randint(0, 3):
                    case 0:
                        ledger.settle({job_id: DONE})
                    case 1:
                        ledger.settle({job_id: ERROR})
                    case 2:
                        ledger.moved([(job_id, RUNNING, 1, 1.0)])

    ledger.transaction(fill)
    yield ledger
    ledger.close()


def slowly(ledger: Ledger, **asked: Any) -> list[Row]:
    """What `select` must find, by looking at all of them."""

    everything = ledger.select()
    tags_of = {bulk: ledger.tags(bulk) for bulk in {row.bulk for row in everything}}

    def fits(row: Row) -> bool:
        tags = tags_of[row.bulk]
        return (
            (asked.get("name") is None or row.name == asked["name"])
            and (asked.get("states") is None or row.status in asked["states"])
            and (asked.get("backends") is None or row.backend in asked["backends"])
            and all(tags.get(key) == value for key, value in asked.get("tags", {}).items())
            and (asked.get("since") is None or row.submitted >= asked["since"])
            and (
                asked.get("before") is None
                or (row.state >= 4 and row.finished is not None and row.finished < asked["before"])
            )
        )

    found = [row for row in everything if fits(row)]
    limit = asked.get("limit")
    return found if limit is None else found[max(0, len(found) - limit) :]


def steps(plan: list[Any]) -> list[str]:
    """The steps of a query as SQLite has said them since 3.36; it said ``SCAN TABLE jobs AS j`` before."""
    return [re.sub(r"^(SCAN|SEARCH) TABLE (?:\w+ AS )?(\w+)", r"\1 \2", row[3]) for row in plan]


@pytest.mark.parametrize("few", [0, FEW])
def test_all_ways_in_find_the_same(ledger: Ledger, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyjob.ledger.reading.queries.FEW", few)
    chance = random.Random(2)
    choices: dict[str, list[Any]] = {
        "name": ["fit", "plot", "none"],
        "states": [[QUEUED], [RUNNING, JobStatus.ERROR], [], list(JobStatus)],
        "backends": [[1], [2], [1, 2], []],
        "tags": [{"study": "a"}, {"study": "b", "fold": "2"}, {"none": ""}],
        "since": [1030.0, 0.0, 9999.0],
        "before": [1.5, 2.5],
        "limit": [0, 1, 7, 1000],
    }
    found = 0
    for _ in range(150):
        asked = {key: chance.choice(values) for key, values in choices.items() if chance.random() < 0.4}
        rows = ledger.select(**asked)
        assert rows == slowly(ledger, **asked), asked
        found += len(rows)
    assert found > 500


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "s")
    (early,), (late,), (between,) = (add(ledger, created=time) for time in (100.0, 300.0, 200.0))
    assert [row.job_id for row in ledger.select(since=250.0)] == [late]
    assert [row.job_id for row in ledger.select(since=150.0)] == [late, between]
    assert early in {row.job_id for row in ledger.select()}


ASKED: dict[str, dict[str, Any]] = {
    "newest": {},
    "name": {"name": "fit"},
    "state": {"states": [JobStatus.ERROR]},
    "states": {"states": [QUEUED, RUNNING]},
    "backend": {"backends": [1]},
    "tags": {"tags": {"study": "a", "fold": "2"}},
    "since": {"since": 1030.0},
    "name and state": {"name": "fit", "states": [JobStatus.ERROR]},
    "name, tags and since": {"name": "fit", "tags": {"study": "a"}, "since": 1.0},
}


@pytest.mark.parametrize("few", [0, FEW])
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_no_table_is_read_through_or_sorted(
    ledger: Ledger, asked: dict[str, Any], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anyjob.ledger.reading.queries.FEW", few)
    queries = Search(ledger.file.read, limit=50, **asked).queries()
    assert queries
    for sql, values in queries:
        plan = steps(ledger.file.read(f"EXPLAIN QUERY PLAN {sql}", values))
        scans = [line for line in plan if line.startswith("SCAN")]
        # From the newest on, until there are enough, is the one scan that ends soon.
        assert scans in ([], ["SCAN j"]), plan
        assert not scans or asked == {}, plan
        assert not any("TEMP B-TREE" in line for line in plan), plan


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("rows", (["ab" * 10],)),
        ("by_prefix", ("ab",)),
        ("by_native_id", (1, "x")),
        ("with_native_id", ("x",)),
        ("queue.rows", (1, 0, 100)),
        ("queue.in_state", (1, RUNNING)),
        ("queue.waiting", (1,)),
        ("queue.open_in_bulk", (1,)),
        ("queue.open_backends", ("h",)),
        ("work", ("ab" * 10,)),
        ("tags", (1,)),
    ],
)
def test_everything_else_goes_by_indexes(
    ledger: Ledger, call: str, arguments: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []
    read = ledger.file.read

    def explained(sql: str, values: Any = ()) -> list[Any]:
        plans.extend(steps(read(f"EXPLAIN QUERY PLAN {sql}", values)))
        return read(sql, values)

    monkeypatch.setattr(ledger.file, "read", explained)
    attrgetter(call)(ledger)(*arguments)
    assert plans
    tables = [line for line in plans if line.startswith("SCAN") and line not in ("SCAN b", "SCAN backends")]
    assert not tables, plans
    assert not any("TEMP B-TREE" in line for line in plans), plans


def test_jobs_that_are_cancelled_are_looked_up_by_their_ids(ledger: Ledger) -> None:
    """Not among all that wait, which takes the longer the more there are."""
    said: list[str] = []
    ledger.file.write(lambda db: db.set_trace_callback(said.append))
    ledger.cancel_queued(["ab" * 10], "h", 1.0)
    (looked,) = [sql for sql in said if sql.startswith("SELECT n, id")]
    assert steps(ledger.file.read(f"EXPLAIN QUERY PLAN {looked}"))[0].endswith("(id=?)")


def test_a_job_that_moves_meanwhile_is_seen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, other = Ledger(tmp_path / "s"), Ledger(tmp_path / "s")
    ids = add(ledger, 3)
    file = ledger.file
    read = file.read

    def read_and_move(sql: str, values: Any = ()) -> list[Any]:
        found = read(sql, values)
        if "ORDER BY" in sql:  # between the queries of two states
            other.moved([(job_id, RUNNING, 1, 1.0) for job_id in ids])
        return found

    monkeypatch.setattr(file, "read", read_and_move)
    seen = ledger.select(states=[QUEUED, RUNNING])
    assert [row.job_id for row in seen] == ids
    monkeypatch.undo()
    assert {row.status for row in ledger.select()} == {RUNNING}
    ledger.close()
    other.close()

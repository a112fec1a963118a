"""What views read of the ledger: all of it is here, and nothing here writes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from anyjob.execution.next_attempt import grown, still_to_wait
from anyjob.ledger.encoding import decode_resources, outcome_of
from anyjob.ledger.file.schema import version_of
from anyjob.ledger.reading.graph_reader import JobGraph
from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import CODE, FINAL, Row, Summary, status_of
from anyjob.resources import Resources, total_cpus
from anyjob.status import JobStatus
from anyjob.views.graph.folded import Node, fold
from anyjob.views.reported_job import ReportedJob

LATELY = 7 * 86400.0
"""Seconds before a job's own submission from which on others are compared with it."""
MOST_ATTEMPTS = 5
MOST_COMPARED = 500
"""Jobs that are compared with one, at most: the newest."""


class Alike(NamedTuple):
    """How other jobs of the same name have fared of late on the same backend.

    Args:
        jobs: how many have ended.
        done: how many of these are DONE.
        failed: the ids of those that failed for the same reason, the newest first.
        hosts: where those ran, with how many each, the most first.
        longest: the most seconds that one took which is DONE.
        seconds: how long each of these took.
        largest: the most bytes of memory that one needed which is DONE.
    """

    jobs: int = 0
    done: int = 0
    failed: tuple[str, ...] = ()
    hosts: tuple[tuple[str, int], ...] = ()
    longest: float | None = None
    largest: int | None = None
    seconds: tuple[float, ...] = ()


NOTHING_ALIKE = Alike()
_NOTHING_ASKED, _NO_SUMMARY = Resources(), Summary()


def alike(ledger: LedgerReader, row: Row) -> Alike:
    """Return how jobs like this one have fared of late, itself left out."""
    ended = [status for status in JobStatus if status.name in ("DONE", "ERROR")]
    since = row.submitted - LATELY
    name = row.name or None
    others = ledger.select(name=name, states=ended, backends=[row.backend], since=since, limit=MOST_COMPARED)
    others = [other for other in others if other.job_id != row.job_id and other.name == row.name]
    done = [other for other in others if other.status is JobStatus.DONE]
    failed = [
        other for other in reversed(others) if other.status is JobStatus.ERROR and other.reason == row.reason
    ]
    took = [other.finished - other.started for other in done if other.started and other.finished]
    needed = [peak for other in done if (peak := outcome_of(other).peak_memory) is not None]
    hosts = Counter(host for other in failed if (host := outcome_of(other).host))
    return Alike(
        len(others),
        len(done),
        tuple(other.job_id for other in failed),
        tuple(hosts.most_common(3)),
        max(took, default=None),
        max(needed, default=None),
        tuple(took),
    )


def due_in(ledger: LedgerReader, row: Row, now: float) -> float | None:
    """Return in how many seconds the next attempt of a job starts; None for one that does not go again."""
    found = ledger.attempts.due([row.job_id]).get(row.job_id)
    return None if found is None else still_to_wait(found.due, found.wait, now)


def failed_before(ledger: LedgerReader, job_id: str) -> tuple[str, ...]:
    """Return what came of the attempts of a job that others followed, a line each: the last few."""
    ended = ledger.attempts.ended(job_id)
    more = (
        (f"{len(ended) - MOST_ATTEMPTS} attempts more, before these",) if len(ended) > MOST_ATTEMPTS else ()
    )
    return more + tuple(
        f"attempt {each.attempt} ended by {each.outcome.reason or each.outcome.status.name}"
        + (f": {each.outcome.message.partition(chr(10))[0]}" if each.outcome.message else "")
        for each in ended[-MOST_ATTEMPTS:]
    )


def running(ledger: LedgerReader, backend: int) -> list[Row]:
    """Return the jobs of a backend that run, oldest first."""
    return ledger.select(states=[JobStatus.RUNNING], backends=[backend])


def resources_of(ledger: LedgerReader, rows: Iterable[Row]) -> Iterator[Resources]:
    """Yield what each of these jobs asks for; the context of a bulk is read once."""
    read: dict[int, Resources] = {}
    for row in rows:
        if row.bulk not in read:
            read[row.bulk] = decode_resources(ledger.bulk(row.bulk)[0].resources)
        yield read[row.bulk]


def reported(ledger: LedgerReader, rows: Sequence[Row], *, with_work: bool = True) -> list[ReportedJob]:
    """Return what a report tells of these jobs, in their order; without their work, which takes longest."""
    bulks = list(dict.fromkeys(row.bulk for row in rows))
    resources = {n: decode_resources(each.resources) for n, each in ledger.contexts(bulks).items()}
    tags = ledger.tags_of(bulks)
    summaries = ledger.summaries([row.job_id for row in rows]) if with_work else {}
    again = [
        row.job_id
        for row in rows
        if row.attempt > 1 and (policy := resources.get(row.bulk, _NOTHING_ASKED).retries) and policy.grow
    ]
    retried = ledger.attempts.retried_often(again) if again else {}
    running = {row.backend for row in rows if row.status is JobStatus.RUNNING}
    hosts = {number: ledger.backend_row(number).host for number in running}
    return [
        _reported(
            row,
            grown(resources.get(row.bulk, _NOTHING_ASKED), retried.get(row.job_id, 0)),
            tags.get(row.bulk, {}),
            summaries.get(row.job_id, _NO_SUMMARY),
            hosts.get(row.backend, "") if row.status is JobStatus.RUNNING else "",
        )
        for row in rows
    ]


def _reported(
    row: Row, given: Resources, tags: Mapping[str, str], summary: Summary, host: str
) -> ReportedJob:
    outcome = outcome_of(row)
    return ReportedJob(
        job_id=row.job_id,
        name=row.name,
        backend=row.label,
        kind=row.kind,
        work=in_a_line(summary),
        state=row.status.name,
        reason=row.reason or "",
        message=outcome.message,
        native_id=row.native_id or "",
        host=outcome.host or host,
        attempt=row.attempt,
        submitted=row.submitted,
        started=row.started,
        finished=row.finished,
        cpus=total_cpus(given),
        gpus=given.gpus or 0,
        memory=given.memory,
        cpu_time=outcome.cpu_time,
        peak_memory=outcome.peak_memory,
        exit_code=outcome.exit_code,
        cost=outcome.cost,
        currency=outcome.currency,
        tags=tags,
        parameters=" ".join(f"{name}={value}" for name, value in summary.parameters.items()),
    )


def graph_of(ledger: LedgerReader, rows: Sequence[Row]) -> list[Node]:
    """Return the graph of these jobs alone: what starts after what of them."""
    chosen = {row.job_id for row in rows}
    tied = ledger.graph(list(chosen))
    jobs = [job for job in tied.jobs if job.job_id in chosen]
    numbers = {job.n for job in jobs}
    newer = {old: new for old, new in tied.newer.items() if new in numbers}
    return fold(JobGraph(jobs, tied.needs, newer, tied.parents))


def in_a_line(summary: Summary) -> str:
    """Return what a job is, in a line: its values of the axes of a job file go before."""
    values = " ".join(f"{name}={value}" for name, value in summary.parameters.items())
    return f"{values}: {summary.work}" if values and summary.work else values or summary.work


def cause_of(ledger: LedgerReader, row: Row) -> Row | None:
    """Return the job of whose end one has failed, the first in the chain, as far as it is known still."""
    cause: str | None = row.job_id if row.reason == "dependency" else None
    seen: set[str] = set()
    while cause is not None and cause not in seen:
        seen.add(cause)
        before = ledger.dependencies.broken_by(cause)
        if before is None:
            break
        cause = before
    return ledger.rows([cause]).get(cause) if cause and cause != row.job_id else None


def has_ended(row: Row) -> bool:
    """Tell whether a job has ended."""
    return row.state >= FINAL


class LedgerState(NamedTuple):
    """What is seen of a ledger that is not taken in use: version, jobs by state, and what is wrong."""

    version: int = 0
    counts: Mapping[str, int] = {}
    trouble: str = ""


def look_at(path: Path) -> LedgerState:
    """Return what is to be seen of a ledger of whatever version, without changing or migrating it."""
    version = 0
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2.0)) as db:
            version = version_of(db)
            counted: Counter[str] = Counter()
            for code, number in db.execute("SELECT state, count(*) FROM jobs GROUP BY state"):
                counted[status_of(code).name] += number
    except (sqlite3.Error, IndexError) as error:
        return LedgerState(version, trouble=str(error))
    return LedgerState(version, dict(counted))


def durations_of_calls(path: Path, since: float) -> dict[tuple[str, str], list[float]]:
    """Return how many seconds calls took of late on each `local` backend, by its label and options (JSON).

    Only the newest jobs are looked at, in a ledger that this anyjob can read; it is not changed.
    """
    sql = (
        "SELECT b.label, b.options, j.finished - j.started FROM "
        f"(SELECT * FROM jobs ORDER BY n DESC LIMIT {10 * MOST_COMPARED}) j "
        "JOIN bulks k ON k.n = j.bulk JOIN backends b ON b.n = j.backend "
        "WHERE b.type = 'local' AND k.native = 'python' AND j.state = ? AND j.started > ?"
    )
    found: dict[tuple[str, str], list[float]] = {}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2.0)) as db:
        for label, options, seconds in db.execute(sql, (CODE[JobStatus.DONE], since)):
            found.setdefault((label, options), []).append(seconds)
    return found

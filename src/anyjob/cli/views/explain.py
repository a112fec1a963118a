"""``anyjob explain``: why a job waits or failed, and what can be done about it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from anyjob.cli.completion import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.refresh import refresh
from anyjob.cli.jobs.selection import full_id
from anyjob.cli.jobs.show import describe
from anyjob.cli.terminal.output import write_json, write_line
from anyjob.errors import AnyjobError
from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import CANCELLING, HELD, PAUSED, RELEASED, Row
from anyjob.resources import Resources, total_cpus
from anyjob.session.backends.plain_job import KIND as PLAIN
from anyjob.session.facade import Session
from anyjob.spool.log_reading import STREAMS
from anyjob.views import log_tails, queries
from anyjob.views.explanation.explain import explain as explained
from anyjob.views.explanation.facts import Explanation, Facts, Other

LINES = 10
"""Lines of what a job wrote last that are shown."""


@click.command(
    epilog="""\b
Examples:
  anyjob explain 3f2a91c
  anyjob explain train
  anyjob explain 3f2a91c --json"""
)
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option(
    "--lines",
    type=click.IntRange(min=0),
    default=LINES,
    show_default=True,
    metavar="N",
    help="So many of what it wrote last.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def explain(job_id: str, lines: int, as_json: bool) -> None:
    """Say why a job waits, or why it has failed, in words, and what can be done about it.

    Of a job that waits: its place, what holds what it needs, what it starts after, and what its engine says.
    Of one that has failed: what its reason means, what it wrote last, and how others like it have fared
    within the week.
    """
    with open_session() as session:
        ledger = session.ledger
        row = ledger.rows([full_id(ledger, job_id)]).popitem()[1]
        (row,) = refresh(session, ledger, [row])
        facts = collect(session, row)
        tails = last_lines(session, row, facts.found, lines)
    told = explained(facts)
    if as_json:
        write_json({**_plain(told, facts), "last_lines": tails})
        return
    _write(told, facts, tails)


def collect(session: Session, row: Row) -> Facts:
    """Return what is known of a job that helps to explain it."""
    ledger = session.ledger
    found = describe(session, row)
    now = time.time()
    asked = next(queries.resources_of(ledger, [row]))
    there, takes = (
        capacity(found["backend_type"], found["backend_options"], ledger.settings(row.backend)),
        _takes(asked),
    )
    waits = row.status.name == "QUEUED"
    running = queries.running(ledger, row.backend) if waits and there else []
    cause = queries.cause_of(ledger, row)
    return Facts(
        found=found,
        now=now,
        due=queries.due_in(ledger, row, now),
        attempts=None if asked.retries is None else asked.retries.times + 1,
        before=queries.failed_before(ledger, row.job_id),
        is_released=row.state == RELEASED,
        is_held=waits and row.reason == HELD,
        is_paused=row.reason == PAUSED and not waits,
        is_cancelling=row.reason == CANCELLING and not queries.has_ended(row),
        elsewhere=_elsewhere(session, row),
        waits_for=tuple(_awaited(found["prerequisites"])) if waits else (),
        running=tuple(_others(ledger, running, now)),
        there=there,
        takes=takes,
        alike=queries.alike(ledger, row),
        cause=cause and Other(cause.job_id, cause.name, cause.status.name),
    )


def _elsewhere(session: Session, row: Row) -> str:
    if queries.has_ended(row) or row.kind == PLAIN:
        return ""
    with suppress(AnyjobError):  # what its backend knows is told as far as it can be
        return str(session.get_job(row.job_id).backend().other_host or "")
    return ""


def capacity(type_name: str, known: Mapping[str, Any], settings: Mapping[str, Any]) -> Mapping[str, int]:
    """Return how much a backend of this machine has for its jobs; of an engine only that knows.

    Args:
        type_name: its type.
        known: the options that it was given.
        settings: what was set for the backend while it was in use.
    """
    if type_name != "local":
        return {}
    import msgspec

    from anyjob.builtin.local.backend import LocalOptions
    from anyjob.builtin.local.machine.limits import limits

    options = msgspec.structs.asdict(msgspec.convert(known, LocalOptions))
    return limits({**options, **settings})


def _takes(resources: Resources) -> dict[str, float]:
    takes: dict[str, float] = {"cpus": total_cpus(resources), **resources.needs}
    for name in ("memory", "gpus"):
        if (value := getattr(resources, name)) is not None:
            takes[name] = value
    return takes


def _awaited(prerequisites: Iterable[Mapping[str, str]]) -> Iterator[Other]:
    for one in prerequisites:
        if one["status"] not in ("DONE", "ERROR", "CANCELLED"):
            yield Other(one["job_id"], one["name"], one["status"])


def _others(ledger: LedgerReader, rows: list[Row], now: float) -> Iterator[Other]:
    for other, resources in zip(rows, queries.resources_of(ledger, rows), strict=True):
        seconds = None if other.started is None else max(0.0, now - other.started)
        yield Other(other.job_id, other.name, other.status.name, seconds, _takes(resources))


def last_lines(session: Session, row: Row, found: Mapping[str, Any], count: int) -> dict[str, list[str]]:
    """Return the last lines of what a job wrote, by stream; nothing of one that has not started."""
    if row.started is None or row.kind == PLAIN or not count:
        return {}
    if found["spool"]:
        return log_tails.of_spool(Path(found["spool"]), count)
    told: dict[str, list[str]] = {}
    with suppress(Exception):  # of an engine that is away there is nothing to show
        job = session.get_job(row.job_id)
        for stream in STREAMS if job.backend().capabilities.logs else ():
            if lines := log_tails.of_chunks(job.log_bytes(stream), count):
                told[stream] = lines
    return told


def _write(told: Explanation, facts: Facts, tails: Mapping[str, list[str]]) -> None:
    found = facts.found
    name = f" ({found['name']})" if found["name"] else ""
    write_line(f"job {facts.short}{name} on {found['backend']}: {found['state']}")
    write_line(f"It {told.headline}.")
    for line in told.why:
        _bullet(line)
    for stream, lines in tails.items():
        write_line(f"The last of its {stream}:")
        for line in lines:
            write_line(f"  | {line}")
    if told.ways_out:
        write_line("What can be done:")
        for line in told.ways_out:
            _bullet(line)


def _bullet(text: str) -> None:
    first, *rest = text.splitlines() or [""]
    write_line(f"  - {first}")
    for line in rest:
        write_line(f"    {line}")


def _plain(told: Explanation, facts: Facts) -> dict[str, Any]:
    keys = ("job_id", "name", "backend", "state", "reason", "message", "attempt", "queue_position")
    return {
        **{key: facts.found[key] for key in keys},
        "explanation": told.headline,
        "why": told.why,
        "ways_out": told.ways_out,
        "asked": facts.found["resources"],
        "takes": facts.takes,
        "there_is": facts.there,
        "waits_for": [other._asdict() for other in facts.waits_for],
        "running": [other._asdict() for other in facts.running],
        "others_like_it": facts.alike._asdict(),
        "cause": facts.cause and facts.cause._asdict(),
    }

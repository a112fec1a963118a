"""What the backends are busy with that have jobs which have not ended."""

from __future__ import annotations

from typing import NamedTuple

from anyjob.resources import total_cpus
from anyjob.session.facade import Session
from anyjob.views import queries
from anyjob.views.details.facts_of import capacity


class Load(NamedTuple):
    """What a backend is busy with: jobs that run, and wait; cores that they take, and there are, if known."""

    name: str
    running: int
    queued: int
    taken: int
    there: int | None


def loads(session: Session) -> list[Load]:
    """Return what the backends are busy with that have jobs which have not ended.

    Those of one name are one, such as one whose options were changed meanwhile: its cores are those of the
    busiest.
    """
    ledger = session.ledger
    found: dict[str, Load] = {}
    for number, counts in (ledger.open_counts() if ledger.exists else {}).items():
        row = ledger.backend_row(number)
        there = capacity(row.type, row.options, ledger.settings(number)).get("cpus")
        # Of an engine that has thousands, nobody adds up what each takes.
        running = queries.running(ledger, number) if there is not None else []
        taken = sum(total_cpus(asked) for asked in queries.resources_of(ledger, running))
        load = Load(row.label, counts.get("RUNNING", 0), counts.get("QUEUED", 0), taken, there)
        other = found.get(row.label, load)
        if other is not load:
            both = other.running + load.running, other.queued + load.queued
            load = max(other, load, key=lambda one: one.running)._replace(running=both[0], queued=both[1])
        found[row.label] = load
    return list(found.values())

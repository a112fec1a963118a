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
    """Return what the backends are busy with that have jobs which have not ended."""
    ledger = session.ledger
    found = []
    for number, counts in (ledger.open_counts() if ledger.exists else {}).items():
        row = ledger.backend_row(number)
        there = capacity(row.type, row.options, ledger.settings(number)).get("cpus")
        # Of an engine that has thousands, nobody adds up what each takes.
        running = queries.running(ledger, number) if there is not None else []
        taken = sum(total_cpus(asked) for asked in queries.resources_of(ledger, running))
        found.append(Load(row.label, counts.get("RUNNING", 0), counts.get("QUEUED", 0), taken, there))
    return found

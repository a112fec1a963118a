"""Which jobs a text means: an id of ours or its beginning, an engine's id, or a name."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from anyjob.ledger.reading.reader import LedgerReader

SHORTEST = 7
"""Characters that an abbreviated id has at least where we print it."""
NAMES_SOUGHT = 1000
"""Names, the newest, among which the one that was probably meant is sought."""


class KnownJob(NamedTuple):
    """A job that this process knows, be it in the ledger or not: our id, its engine's, and its name."""

    job_id: str
    native_id: str
    name: str = ""


def meant(ledger: LedgerReader, text: str, limit: int = 10, *, known: Collection[KnownJob] = ()) -> list[str]:
    """Return the ids of the jobs that a text means: one, if it is clear; none; or several that it may mean.

    A whole id of ours means its job. What is an engine's id or a name to the letter wins over ids that merely
    begin so; but from the length on in which we print ids, both may be meant. Of a name, a job that was run
    anew does not count: the newest does.

    Args:
        ledger: where they are.
        text: what was given.
        limit: how many of the ledger are returned at most of each sort.
        known: jobs that are meant as well, though the ledger may not have them.
    """
    if not text:
        return []
    prefix = text.lower()
    exact = [job.job_id for job in known if text in (job.native_id, job.name)]
    beginning = [job.job_id for job in known if job.job_id.startswith(prefix)]
    if ledger.exists:
        if not prefix.strip("0123456789abcdef"):
            beginning += ledger.by_prefix(prefix, limit)
        exact += ledger.with_native_id(text, limit)
        exact += [row.job_id for row in ledger.select(name=text, superseded=False, limit=limit)]
    if prefix in beginning:
        return [prefix]
    if exact and len(text) < SHORTEST:
        beginning = []
    found = [*exact, *beginning] or [job.job_id for job in known if job.native_id.startswith(text)]
    return list(dict.fromkeys(found))


def probably_meant(ledger: LedgerReader, text: str) -> str | None:
    """Return the name of jobs that is most like a text which means none; None where none is like it."""
    from anyjob.text.suggestions import nearest

    return nearest(text, ledger.names(NAMES_SOUGHT)) if text and ledger.exists else None

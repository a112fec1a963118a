"""Which jobs a text means: an id of ours or its beginning, an engine's id, or a name."""

from __future__ import annotations

from anyjob.ledger.reader import LedgerReader

SHORTEST = 7
"""Characters that an abbreviated id has at least where we print it."""


def meant(ledger: LedgerReader, text: str, limit: int = 10) -> list[str]:
    """Return the ids of the jobs that a text means: one, if it is clear; none; or several that it may mean.

    A whole id of ours means its job. What is an engine's id or a name to the letter wins over ids that merely
    begin so; but from the length on in which we print ids, both may be meant. Of a name, a job that was run
    anew does not count: the newest does.

    Args:
        ledger: where they are.
        text: what was given.
        limit: how many are returned at most of each sort.
    """
    if not text or not ledger.exists:
        return []
    prefix = text.lower()
    beginning = [] if prefix.strip("0123456789abcdef") else ledger.by_prefix(prefix, limit)
    if prefix in beginning:
        return [prefix]
    exact = ledger.with_native_id(text, limit)
    exact += [row.job_id for row in ledger.select(name=text, superseded=False, limit=limit)]
    if exact and len(text) < SHORTEST:
        beginning = []
    return list(dict.fromkeys([*exact, *beginning]))

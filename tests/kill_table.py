"""What came of the jobs that waited, and of those that ran, when a process was killed: a table."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

from anyjob.ledger.rows import Row
from anyjob.status import JobStatus

VICTIMS = {
    "client": "a client",
    "supervisor": "the supervisor",
    "keeper": "the keeper",
    "zygote": "a zygote or worker",
    "job": "a process of a job",
}
OTHERS = "ERROR: exit code, memory"
RESULTS = (
    "DONE",
    "CANCELLED",
    "ERROR: dependency",
    "ERROR: exit code, memory",
    "ERROR: signal",
    "ERROR: lost",
)


def kill_table(rows: Sequence[Row], kills: Iterable[tuple[float, str]]) -> str:
    """Return a line for each of those that were killed, and for what the jobs did then.

    Args:
        rows: the jobs, when all have ended. One that ran again counts as waiting until its last attempt.
        kills: when each was, and who was killed.
    """
    times: collections.Counter[str] = collections.Counter()
    found: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for when, victim in kills:
        times[victim] += 1
        for row in rows:
            if row.submitted <= when <= (row.finished or when):
                did = "ran" if row.started is not None and row.started <= when else "waited"
                found[victim, did, _result(row)] += 1
    lines = [f"| killed | times | the jobs | {' | '.join(RESULTS)} |", "|" + " --- |" * (len(RESULTS) + 3)]
    for victim, words in VICTIMS.items():
        for did in ("waited", "ran"):
            counts = (found[victim, did, result] for result in RESULTS)
            lines.append(f"| {words} | {times[victim]} | {did} | {' | '.join(map(str, counts))} |")
    whole = collections.Counter(map(_result, rows))
    lines.append(f"| each job once | | | {' | '.join(str(whole[result]) for result in RESULTS)} |")
    return "\n".join(lines)


def _result(row: Row) -> str:
    if row.status is not JobStatus.ERROR:
        return row.status.name
    return f"ERROR: {row.reason}" if f"ERROR: {row.reason}" in RESULTS else OTHERS

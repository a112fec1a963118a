"""What a job is tied to, as plain data."""

from __future__ import annotations

from typing import Any

from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import Row
from anyjob.text.printable import printable
from anyjob.views.graph.drawn import as_data, title
from anyjob.views.graph.folded import fold


def graph(ledger: LedgerReader, row: Row) -> dict[str, Any]:
    """Return all jobs that one is tied to, those that are alike as one node."""
    nodes = fold(ledger.graph([row.job_id]))
    shown = [
        {
            "title": title(node),
            "words": printable(node.in_words()),
            "state": node.state.name,
            "jobs": [job.job_id for job in node.jobs],
        }
        for node in nodes
    ]
    return {"nodes": shown, "edges": as_data(nodes)["edges"]}

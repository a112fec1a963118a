"""Looks for jobs in the ledger, the newest first, without reading those that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob.ledger.file.sql_lists import placeholders
from anyjob.ledger.rows import BLOCKED, CODE, DUE, FINAL, FIRST, GROUP_OF_J, MAY_WAIT, RELEASED, STATES, Row
from anyjob.status import JobStatus

COLUMNS = (
    "j.n, j.id, j.bulk, j.backend, b.label, k.kind, k.native, k.name, k.created, j.state, j.attempt, "
    "j.native_id, j.started, j.finished, j.reason, j.outcome, j.told"
)
JOINED = f"SELECT {COLUMNS} FROM jobs j JOIN bulks k ON k.n = j.bulk JOIN backends b ON b.n = j.backend "
# CROSS JOIN is how SQLite is told the order in which to go through tables.
_OF_JOB = "CROSS JOIN bulks k ON k.n = j.bulk CROSS JOIN backends b ON b.n = j.backend"
_OF_BULK = "CROSS JOIN backends b ON b.n = j.backend"
_NAMED = "k.name = ? AND k.name <> ''"
_TAGGED = "t.key = ? AND t.value = ?"
_WAITS = f"EXISTS (SELECT 1 FROM dependents g WHERE {GROUP_OF_J} AND g.unmet > 0)"
FEW = 20_000
"""Rows that are quickly looked through one by one."""
_SHOWN = {"True": "true", "False": "false", "None": "null"}
"""What listings show of values that JSON writes otherwise."""
MOST = 2**63 - 1
"""The largest number that SQLite knows."""

Read = Callable[[str, Sequence[Any]], list[Any]]


class Search:
    """What to look for: see `anyjob.ledger.reading.reader.LedgerReader.select`.

    SQLite knows nothing of how rare a name or a state is. So the way in is chosen here: by the jobs of a
    state where there are few of them, else by the rarest of name and tags, else by number.
    """

    def __init__(
        self,
        read: Read,
        *,
        name: str | None = None,
        states: Sequence[JobStatus] | None = None,
        backends: Sequence[int] | None = None,
        tags: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        since: float | None = None,
        before: float | None = None,
        limit: int | None = None,
        superseded: bool = True,
        blocked: bool = False,
    ) -> None:
        self._read = read
        self._name = name
        self._codes = None if states is None else sorted({CODE[status] for status in states})
        if self._codes and CODE[JobStatus.QUEUED] in self._codes:
            self._codes.remove(CODE[JobStatus.QUEUED])
            queued = MAY_WAIT if blocked else (DUE, RELEASED, BLOCKED, CODE[JobStatus.QUEUED])
            self._codes = sorted([*self._codes, *queued])
        self._blocked = blocked
        self._backends = backends
        self._tags = dict(tags or {})
        self._parameters = dict(parameters or {})
        self._since = since
        self._before = before
        self._limit = limit
        self._superseded = superseded

    def rows(self) -> list[Row]:
        """Return the newest that fit, oldest first."""
        found = [Row.read(values) for sql, values in self.queries() for values in self._read(sql, values)]
        found.sort(key=lambda row: row.n)
        return found if self._limit is None else found[max(0, len(found) - self._limit) :]

    def queries(self) -> list[tuple[str, list[Any]]]:
        """Return what to ask: each gives the newest that fit, of a part of the jobs."""
        if self._codes == [] or self._backends == [] or (self._limit is not None and self._limit <= 0):
            return []
        if (self._name is not None or self._tags) and not self._has_few_in_states():
            return self._by_bulk()
        if self._codes is not None or self._backends is not None:
            return self._by_state()
        return [self._query(f"jobs j {_OF_JOB}", [], [], "j.n DESC")]

    # --- ways in ------------------------------------------------------------------------------

    def _by_state(self) -> list[tuple[str, list[Any]]]:
        where, values = self._bulk_filter()
        lead = f"jobs j INDEXED BY jobs_state {_OF_JOB}"
        return [
            self._query(lead, ["j.backend = ?", "j.state = ?", *where], [number, code, *values], "j.n DESC")
            for number in self._numbers()
            for code in self._codes or range(FIRST, len(STATES))
        ]

    def _by_bulk(self) -> list[tuple[str, list[Any]]]:
        lead, where, values, leading = self._rarest()
        order = ("t.bulk" if leading else "k.n") + " DESC, j.n DESC"
        rest, more = self._bulk_filter(*leading)
        where, values = where + rest, values + more
        within = "j.n BETWEEN k.first AND k.last"
        if self._backends is not None:
            where = [*where, f"k.backend IN ({placeholders(self._backends)})"]
            values = [*values, *self._backends]
        if self._codes is None:
            return [self._query(f"{lead} CROSS JOIN jobs j ON {within} {_OF_BULK}", where, values, order)]
        jobs = f"CROSS JOIN jobs j INDEXED BY jobs_state ON j.backend = k.backend AND {within}"
        return [
            self._query(f"{lead} {jobs} {_OF_BULK}", [*where, "j.state = ?"], [*values, code], order)
            for code in self._codes
        ]

    def _rarest(self) -> tuple[str, list[str], list[Any], tuple[str, ...]]:
        ways: list[tuple[int, str, list[str], list[Any], tuple[str, ...]]] = []
        if self._name is not None:
            count = self._count(f"bulks k WHERE {_NAMED}", [self._name])
            ways.append((count, "bulks k", [_NAMED], [self._name], ()))
        for key, value in self._tags.items():
            count = self._count(f"tags t WHERE {_TAGGED}", [key, value])
            lead = "tags t CROSS JOIN bulks k ON k.n = t.bulk"
            ways.append((count, lead, [_TAGGED], [key, value], (key,)))
        _, lead, where, values, leading = min(ways, key=lambda way: way[0])
        return lead, where, values, leading

    # --- parts --------------------------------------------------------------------------------

    def _query(self, tables: str, where: list[str], values: list[Any], order: str) -> tuple[str, list[Any]]:
        if self._since is not None:
            # Numbers grow with time, but for a clock that was set back: a bound, and the time itself.
            where = [
                *where,
                "j.n >= coalesce((SELECT min(first) FROM bulks WHERE created >= ?), 1 << 62)",
                "k.created >= ?",
            ]
            values = [*values, self._since, self._since]
        if self._before is not None:
            where = [*where, f"j.state >= {FINAL}", "j.finished < ?"]
            values = [*values, self._before]
        for name, value in self._parameters.items():
            # As text, since not each SQLite reads JSON: in that of `json.dumps`, no string has such a part.
            parts = [f"{encoded}: {each}{end}" for encoded, each in _encodings(name, value) for end in ",}"]
            among = " OR ".join(["instr(s.parameters, ?)"] * len(parts))
            where = [*where, f"EXISTS (SELECT 1 FROM summaries s WHERE s.n = j.n AND ({among}))"]
            values = [*values, *parts]
        if self._blocked:
            where = [*where, _WAITS]
        if not self._superseded:
            where = [*where, "NOT EXISTS (SELECT 1 FROM reruns r WHERE r.original = j.n)"]
        sql = f"SELECT {COLUMNS} FROM {tables} " + ("WHERE " + " AND ".join(where) if where else "")
        sql += f" ORDER BY {order}"
        if self._limit is None:
            return sql, values
        return f"{sql} LIMIT ?", [*values, min(self._limit, MOST)]

    def _bulk_filter(self, *leading: str) -> tuple[list[str], list[Any]]:
        """Return what a bulk must fulfil, less the tags that lead to it."""
        where: list[str] = []
        values: list[Any] = []
        if self._name is not None:
            where.append("k.name = ?")
            values.append(self._name)
        for key, value in self._tags.items():
            if key not in leading:
                where.append("EXISTS (SELECT 1 FROM tags o WHERE o.bulk = k.n AND o.key = ? AND o.value = ?)")
                values += [key, value]
        return where, values

    def _numbers(self) -> list[int]:
        if self._backends is not None:
            return list(self._backends)
        return [row[0] for row in self._read("SELECT n FROM backends", ())]

    def _has_few_in_states(self) -> bool:
        if self._codes is None:
            return False
        left = FEW
        for number in self._numbers():
            for code in self._codes:
                left -= self._count("jobs WHERE backend = ? AND state = ?", [number, code], left)
                if left <= 0:
                    return False
        return True

    def _count(self, of: str, values: list[Any], limit: int = 1000) -> int:
        counted = self._read(f"SELECT count(*) FROM (SELECT 1 FROM {of} LIMIT ?)", [*values, limit])
        return int(counted[0][0])


def encodings(value: Any) -> frozenset[str]:
    """Return how a parameter that is looked for may be written in the ledger.

    A text also means the number, the truth value or the list that it reads as, and 6 means 6.0, too.
    """
    import json

    meant = [value]
    if isinstance(value, str):
        with suppress(ValueError):
            meant.append(json.loads(_SHOWN.get(value, value)))
    for each in meant[-1:]:
        if type(each) is int and abs(each) <= 2**53:
            meant.append(float(each))
        elif type(each) is float and each.is_integer():
            meant.append(int(each))
    return frozenset(json.dumps(each, default=str) for each in meant)


def _encodings(name: str, value: Any) -> list[tuple[str, str]]:
    import json

    return [(json.dumps(name), each) for each in sorted(encodings(value))]

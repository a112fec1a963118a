"""Reads of a ledger the jobs that are tied to some by what starts after what, and who has submitted whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import GROUP_OF_J, of_column, status_of
from anyjob.status import JobStatus


class GraphJob(NamedTuple):
    """A job of a graph.

    Args:
        n: its number: higher than those of all that it starts after.
        group: the number of the group of jobs that start after the same; None of one that starts after none.
        started: when, in seconds since 1970.
        finished: the same.
    """

    n: int
    job_id: str
    name: str
    work: str
    backend: str
    status: JobStatus
    reason: str
    started: float | None
    finished: float | None
    group: int | None


class JobGraph(NamedTuple):
    """Jobs, and what ties them.

    Args:
        jobs: in the order of their numbers.
        needs: what each group starts after: numbers, with the condition.
        newer: for each job that was run anew as which that was.
        parents: for each job that another has submitted, which that is.
    """

    jobs: list[GraphJob]
    needs: dict[int, list[tuple[int, int]]]
    newer: dict[int, int] = {}
    parents: dict[int, int] = {}


_GROUP = f"SELECT j.n, g.n, g.last FROM jobs j CROSS JOIN dependents g ON {GROUP_OF_J} WHERE j.n IN ({{}})"
_NEEDS = "SELECT dependent, prerequisite, condition FROM dependencies WHERE dependent IN ({})"
_BEHIND = (
    "SELECT DISTINCT g.n, g.last FROM dependencies d CROSS JOIN dependents g ON g.n = d.dependent "
    "WHERE d.prerequisite IN ({})"
)
_JOBS = (
    "SELECT j.n, j.id, k.name, coalesce(s.work, ''), b.label, j.state, coalesce(j.reason, ''), j.started, "
    "j.finished FROM jobs j CROSS JOIN bulks k ON k.n = j.bulk CROSS JOIN backends b ON b.n = j.backend "
    "LEFT JOIN summaries s ON s.n = j.n WHERE j.n IN ({})"
)


class GraphReader:
    """Reads what is tied to what; its methods raise `StateError` where the ledger cannot be read."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def graph(self, job_ids: Sequence[str]) -> JobGraph:
        """Return the jobs that are tied to these, near or far, by what starts after what, or submits it.

        It is as at one moment, whatever happens meanwhile.
        """
        return self._file.at_once(lambda: self._graph(job_ids))

    def _graph(self, job_ids: Sequence[str]) -> JobGraph:
        new = {row[0] for row in self._each("SELECT n FROM jobs WHERE id IN ({})", list(job_ids))}
        reached: set[int] = set()
        group_of: dict[int, int] = {}
        needs: dict[int, list[tuple[int, int]]] = {}
        newer: dict[int, int] = {}
        families = self._families()
        while new:
            reached |= new
            groups: dict[int, int] = {}
            for n, group, last in self._each(_GROUP, list(new)):
                group_of[n] = group
                groups[group] = last
            groups.update(self._each(_BEHIND, list(new)))
            unknown = [group for group in groups if group not in needs]
            found: set[int] = set()
            for group in unknown:
                needs[group] = []
                found.update(range(group, groups[group] + 1))
            for group, n, condition in self._each(_NEEDS, unknown):
                needs[group].append((n, condition))
                found.add(n)
            # What started after one that was run anew is tied to that, from whichever of them one begins.
            for column in ("original", "n"):
                anew = dict(self._each(f"SELECT original, n FROM reruns WHERE {column} IN ({{}})", list(new)))
                newer.update(anew)
                found.update(anew.keys(), anew.values())
            for parent, first, last in families:
                if parent in new:
                    found.update(range(first, last + 1))
                elif any(first <= n <= last for n in new):
                    found.add(parent)
            new = found - reached
        rows = self._each(_JOBS, sorted(reached))
        return JobGraph(
            [
                GraphJob(n, job_id, of_column(name), work, label, status_of(state), reason, started, finished,
                         group_of.get(n))
                for n, job_id, name, work, label, state, reason, started, finished in sorted(rows)
            ],
            needs,
            newer,
            {
                n: parent
                for parent, first, last in families
                if parent in reached
                for n in range(first, last + 1)
            },
        )  # fmt: skip

    def _families(self) -> list[tuple[int, int, int]]:
        """Return of the bulks that jobs have submitted these jobs, and which theirs are: first and last."""
        from anyjob.ledger.encoding import decode_context

        bulks = self._file.read(
            "SELECT context, first, last FROM bulks WHERE instr(context, CAST(? AS BLOB))", ("parent",)
        )
        found = [(decode_context(context).parent, first, last) for context, first, last in bulks]
        numbers = dict(self._each("SELECT id, n FROM jobs WHERE id IN ({})", [each for each, _, _ in found]))
        return [(numbers[parent], first, last) for parent, first, last in found if parent in numbers]

    def _each(self, sql: str, values: Sequence[object]) -> list[tuple]:  # type: ignore[type-arg]
        return [
            row for some in chunks(values) for row in self._file.read(sql.format(placeholders(some)), some)
        ]

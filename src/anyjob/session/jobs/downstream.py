"""The order in which jobs are run anew that start after each other, and what has followed one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anyjob.ledger.dependencies import FAILURE
from anyjob.ledger.rows import FINAL, Prerequisite
from anyjob.references import OutputPath
from anyjob.runtime.dependencies.job_arguments import holds_handle, with_references
from anyjob.specs import Call, Command, Spec, outputs_in, with_outputs

if TYPE_CHECKING:
    from anyjob.ledger.reading.dependency_reader import Needed
    from anyjob.ledger.rows import Row
    from anyjob.ledger.store import Ledger


def followers(ledger: Ledger, job_ids: Sequence[str]) -> list[str]:
    """Return the jobs that start after these, near or far, and have ended, the oldest first.

    Who starts after what these were run anew of, or as, counts, too. Those that were run anew since are left
    out, and what starts after them is not. What has run for a failure has done with that.
    """
    given, seen = set(job_ids), set[str]()
    found: list[str] = []
    ahead = _followed(ledger.superseded_by, _followed(ledger.rerun_of, job_ids))
    while ahead:
        edges = [edge for edge in ledger.dependencies.dependents(ahead) if edge[0] not in seen]
        rows = ledger.rows(list({job_id: None for job_id, _ in edges}))
        behind = {
            job_id: None
            for job_id, needed in edges
            if rows[job_id].state >= FINAL
            and (needed.condition != FAILURE or rows[job_id].reason == "dependency")
        }
        seen.update(behind)
        ended = list(behind)
        gone = ledger.superseded_by(ended)
        found += [job_id for job_id in ended if job_id not in gone and job_id not in given]
        ahead = _followed(ledger.rerun_of, ended)
    rows = ledger.rows(found)
    return sorted(found, key=lambda job_id: rows[job_id].n)


def _followed(step: Callable[[Sequence[str]], Mapping[str, str]], job_ids: Sequence[str]) -> list[str]:
    """Return these jobs, and all that a step leads to from one to the next."""
    known = dict.fromkeys(job_ids)
    found = [*known]
    while found:
        found = [job_id for job_id in step(found).values() if job_id not in known]
        known.update(dict.fromkeys(found))
    return [*known]


class Order:
    """Which jobs are run anew before which, and what each of them starts after.

    Args:
        ledger: where it stands what they have started after.
        job_ids: the jobs that are to be run anew.
    """

    def __init__(self, ledger: Ledger, job_ids: Iterable[str]) -> None:
        self._anew: dict[str, str] = {}
        self._needs: dict[str, list[Needed]] = {}
        self._newer: dict[str, str] = {}
        self._rows: Mapping[str, Row] = {}
        if ledger.exists:
            self._needs = {job_id: ledger.dependencies.prerequisites(job_id) for job_id in job_ids}
            before = {one.job_id for needs in self._needs.values() for one in needs}
            self._newer = _newest(ledger, before, self._needs)
            self._rows = ledger.rows(list(self._needs))

    @property
    def matters(self) -> bool:
        """Whether any of them starts after others."""
        return any(self._needs.values())

    def steps(self) -> list[list[str]]:
        """Return the jobs in groups: each starts after jobs of those before it at most."""
        from graphlib import TopologicalSorter

        before = {
            job_id: [other for one in needs if (other := self._newest(one.job_id)) in self._needs]
            for job_id, needs in self._needs.items()
        }
        sorter = TopologicalSorter(before)
        sorter.prepare()
        groups: list[list[str]] = []
        while sorter.is_active():
            ready = sorter.get_ready()
            sorter.done(*ready)
            groups.append(sorted(ready, key=self._place))
        return groups

    def _place(self, job_id: str) -> int:
        return self._rows[job_id].n if job_id in self._rows else 0

    def run_anew(self, original: str, job_id: str) -> None:
        """A job is run anew as this one."""
        self._anew[original] = job_id

    def after(self, job_id: str) -> tuple[Prerequisite, ...]:
        """Return what a job is to start after: what its original did, or what that was run anew as."""
        return tuple(
            Prerequisite(self._newest(one.job_id), one.condition) for one in self._needs.get(job_id, ())
        )

    def anew(self, spec: Spec) -> Spec:
        """Return the work of a job that is run anew, with what those leave that others were run anew as."""
        if isinstance(spec, Command):
            return with_outputs(spec, self._newest_of) if outputs_in(spec) else spec
        if not isinstance(spec, Call) or not holds_handle([spec.args, spec.kwargs.values()]):
            return spec
        return with_references(spec, self._newest_of)

    def _newest_of(self, reference: Any) -> Any:
        if isinstance(reference, OutputPath):
            return reference.of(self._newest(reference.job_id))
        return type(reference)(self._newest(reference.job_id), reference.name, None, reference.lift)

    def _newest(self, job_id: str) -> str:
        job_id = self._newer.get(job_id, job_id)
        return self._anew.get(job_id, job_id)


def _newest(ledger: Ledger, job_ids: Iterable[str], last: Collection[str]) -> dict[str, str]:
    """Return what those of these jobs were run anew as that were, up to one that is among the last.

    One that was run anew of one of the last is, by that, to be run anew as well.
    """
    found = {job_id: job_id for job_id in job_ids}
    while newer := ledger.superseded_by([one for one in found.values() if one not in last]):
        found = {job_id: newer.get(one, one) for job_id, one in found.items()}
    older = {one: one for one in found.values() if one not in last}
    while before := ledger.rerun_of([one for one in older.values() if one not in last]):
        older = {job_id: before.get(one, one) for job_id, one in older.items()}
    return {
        job_id: older[one] if one in older and older[one] in last else one for job_id, one in found.items()
    }

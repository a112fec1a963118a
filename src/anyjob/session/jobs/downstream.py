"""The order in which jobs are run anew that start after each other, and those that failed of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from anyjob.ledger.rows import Prerequisite
from anyjob.references import OutputPath
from anyjob.runtime.dependencies.job_arguments import holds_handle, with_references
from anyjob.specs import Call, Command, Spec, outputs_in, with_outputs

if TYPE_CHECKING:
    from anyjob.ledger.store import Ledger


def stopped_by(ledger: Ledger, job_ids: Sequence[str]) -> list[str]:
    """Return the jobs that never started for what came of these, near or far, the oldest first.

    Those that were run anew since are left out.
    """
    found: dict[str, None] = {}
    ended = list(job_ids)
    while ended:
        behind = list(dict.fromkeys(job_id for job_id, _ in ledger.dependencies.dependents(ended)))
        rows = ledger.rows(behind)
        gone = ledger.superseded_by(behind)
        ended = [
            job_id
            for job_id in behind
            if rows[job_id].reason == "dependency" and job_id not in gone and job_id not in found
        ]
        found.update(dict.fromkeys(ended))
    rows = ledger.rows(list(found))
    return sorted(found, key=lambda job_id: rows[job_id].n)


class Order:
    """Which jobs are run anew before which, and what each of them starts after.

    Args:
        ledger: where it stands what they have started after.
        job_ids: the jobs that are to be run anew.
    """

    def __init__(self, ledger: Ledger, job_ids: Iterable[str]) -> None:
        self._ledger = ledger
        self._anew: dict[str, str] = {}
        self._needs = (
            {job_id: ledger.dependencies.prerequisites(job_id) for job_id in job_ids} if ledger.exists else {}
        )

    @property
    def matters(self) -> bool:
        """Whether any of them starts after others."""
        return any(self._needs.values())

    def steps(self) -> list[list[str]]:
        """Return the jobs in groups: each starts after jobs of those before it at most."""
        depth: dict[str, int] = {}
        for job_id in self._in_order():
            before = [depth[one.job_id] for one in self._needs[job_id] if one.job_id in depth]
            depth[job_id] = max(before, default=-1) + 1
        groups: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for job_id, level in depth.items():
            groups[level].append(job_id)
        return groups

    def _in_order(self) -> list[str]:
        """Return them in the order of their submission: what a job starts after was there before it."""
        rows = self._ledger.rows(list(self._needs))
        return sorted(self._needs, key=lambda job_id: rows[job_id].n if job_id in rows else 0)

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
        if job_id in self._anew:
            return self._anew[job_id]
        while self._ledger.exists and (newer := self._ledger.superseded_by([job_id])):
            job_id = newer[job_id]
        return job_id

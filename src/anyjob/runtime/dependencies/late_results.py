"""Results of other jobs, given to a call when it is handed to an engine that cannot read them by itself."""

from __future__ import annotations

import pickle
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import DependencyFailedError, StateError
from anyjob.ledger.encoding import outcome_of
from anyjob.ledger.reading.results import write_results
from anyjob.references import LazyResultOf, OutputPath
from anyjob.runtime.dependencies.awaited_results import Values
from anyjob.runtime.dependencies.job_arguments import lazily, results_in, with_references
from anyjob.runtime.dependencies.kept_results import keep
from anyjob.specs import Call, Spec, check_left
from anyjob.spool.job_spool import InSpool, load_large
from anyjob.standalone.runner import lifted
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from anyjob.references import ResultOf
    from anyjob.tracking.records import JobRecord


class PickledValue:
    """A result that is pickled as what it is pickled to already, and so need not be unpickled here."""

    __slots__ = ("_pickled", "_reference")

    def __init__(self, pickled: bytes, reference: ResultOf) -> None:
        self._pickled = pickled
        self._reference = reference

    def __reduce__(self) -> Any:
        if self._reference.lift:
            return loaded_result, (self._pickled, self._reference.lift, self._reference.called)
        return pickle.loads, (self._pickled,)


def loaded_result(pickled: bytes, lift: tuple[Any, ...], called: str) -> Any:
    """Return the result of a job of another kind of work, where the call runs that takes it.

    Raises:
        NoResult: it cannot be made.
    """
    return lifted(pickle.loads(pickled), lift, called)


def with_results(backend: t.TaskBackend, record: JobRecord) -> Spec:
    """Return the native work of a call, with the results of other jobs in it, where they have ended.

    Those of jobs that have not stay references: what needs them is not launched yet, or waits at the engine.

    Args:
        backend: which is given the work.
        record: the job.

    Raises:
        DependencyFailedError: a result cannot be read.
    """
    call, native = record.specs[0], record.specs[-1]
    assert isinstance(call, Call)
    if backend.keeps_results and not record.kept:
        keep(backend, [record])
    if not backend.capabilities.durable:
        return _with_own(native, results_in(call), record.kept)
    values: dict[str, bytes] = {}
    rows = backend.services.ledger.rows(list({one.job_id for one in results_in(call)}))
    for reference in results_in(call):
        row = rows.get(reference.job_id)
        job_id = reference.job_id
        if (
            row is not None
            and row.status is JobStatus.DONE
            and job_id not in values
            and job_id not in record.kept
        ):
            kept = outcome_of(row).value
            if not (backend.finds_results and isinstance(kept, InSpool) and _is_beside(backend, kept)):
                values[job_id] = _read(reference, kept)
    if isinstance(native, Call):
        made: dict[str, PickledValue] = {}

        def value(one: ResultOf | OutputPath) -> Any:
            if isinstance(one, OutputPath):
                return one if one.job_id in record.kept else check_left(one)
            if one.job_id not in values:
                return one
            if isinstance(one, LazyResultOf):
                return SimpleNamespace(load=partial(loaded_result, values[one.job_id], one.lift, one.called))
            return made.setdefault(one.job_id, PickledValue(values[one.job_id], one))

        return with_references(native, value)
    if record.spool is not None and values:  # the runner, which is part of the native work, looks there
        write_results(record.spool, values)
    return native


def _with_own(native: Spec, references: Sequence[ResultOf], kept: Container[str]) -> Spec:
    """Return the work with results of jobs of this process; as it is where one of them has not ended.

    In place of those that stay with the engine it has references.
    """
    if not all(one.job_id in kept or one.job.in_final_state() for one in references):
        return native
    if not isinstance(native, Call):
        raise DependencyFailedError("no backend whose jobs end with this process makes calls by a program")
    read = Values()

    def value(one: ResultOf | OutputPath) -> Any:
        if one.job_id in kept:
            return one if isinstance(one, OutputPath) else type(one)(one.job_id, one.name)
        if isinstance(one, OutputPath):
            return check_left(one)
        return lazily(one.job.result()) if isinstance(one, LazyResultOf) else read(one)

    made = with_references(native, value)
    for one in references:
        one.job = None  # who holds this job is not to hold those
    return made


def _is_beside(backend: t.TaskBackend, path: str) -> bool:
    return path.startswith(f"{backend.spool_root}/")


def _read(reference: ResultOf, kept: Any) -> bytes:
    try:
        kept = load_large(kept) if isinstance(kept, InSpool) else kept
        if isinstance(kept, bytes):
            return kept
        why = "the ledger has nothing of it"
    except StateError as error:
        why = str(error)
    raise DependencyFailedError(
        f"the result of job {reference.called}, which is an argument, cannot be read: {why}",
        prerequisite=reference.job_id,
    )

"""Results of other jobs that are arguments of a call which is made in this program, or by a child of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anyjob.outcome import LocalValue
from anyjob.references import LazyResultOf, ResultOf
from anyjob.serialization.stored_values import StoredValue
from anyjob.standalone import runner


class Values:
    """The results themselves, each read once, for a call that is made in this process."""

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}

    def __call__(self, reference: ResultOf) -> Any:
        """Return one.

        Raises:
            NoResult: it cannot be read.
        """
        if isinstance(reference, LazyResultOf):
            job = reference.job
            return runner.LazyResult(lambda: job.result())
        if reference.job_id not in self._read:
            try:
                self._read[reference.job_id] = reference.job.result()
            except Exception as error:
                raise unreadable(reference, error) from error
        return self._read[reference.job_id]


def pickled(references: Sequence[ResultOf]) -> Mapping[str, Any]:
    """Return the results as another process takes them: see `anyjob.standalone.runner.Results`.

    Raises:
        NoResult: one cannot be read, or pickled.
    """
    given: dict[str, Any] = {}
    for reference in references:
        job = reference.job
        record = getattr(job, "_record", None)
        kept = (
            record.outcome.value if record is not None and record.kind == record.native == "python" else None
        )
        try:
            if isinstance(kept, StoredValue):
                given[job.job_id()] = (kept.path,)
            elif isinstance(kept, bytes):
                given[job.job_id()] = kept
            else:
                given[job.job_id()] = runner.dumps(
                    kept.value if isinstance(kept, LocalValue) else job.result()
                )
        except Exception as error:
            raise unreadable(reference, error) from error
    return given


def unreadable(reference: ResultOf, error: Exception) -> runner.NoResult:
    """Return the error that says whose result cannot be read."""
    return runner.NoResult(
        f"the result of job {reference.called}, which is an argument, cannot be read: "
        f"{type(error).__name__}: {error}"
    )

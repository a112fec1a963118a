"""What stands in the arguments of a call for what another job leaves, until the call runs.

The runner imports nothing of anyjob, and knows these classes by name: `anyjob.execution.runner.Results`.
"""

from __future__ import annotations

from anyjob import hints as t

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, cast
else:

    def cast(_: object, value: object) -> object:
        """Do as `typing.cast`, which is not imported for it."""
        return value


class ResultOf:
    """Stands for the result of another job.

    Args:
        job_id: which job.
        name: what that is called, for people.
        job: a handle on it, in the process that has one; it does not go along.
    """

    __slots__ = ("job", "job_id", "name")
    stands_for_result = True

    def __init__(self, job_id: str, name: str = "", job: Any = None) -> None:
        self.job_id = job_id
        self.name = name
        self.job = job

    def _reference(self) -> ResultOf:
        return self

    @property
    def called(self) -> str:
        """The job, as messages name it."""
        return f"{self.job_id} ({self.name})" if self.name else self.job_id

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._key()

    def __repr__(self) -> str:
        return f"<result of {self.name or self.job_id[:7]}>"

    def _key(self) -> tuple[str, ...]:
        return self.job_id, self.name


def result_of(job: t.TaskJob[t.T] | t.JobFuture[t.T]) -> t.T:
    """Return what stands for the result of a job in the arguments of a call, as the job itself does.

    For type checkers it is of the type of the result: ``executor.submit(len, result_of(future))``.

    Args:
        job: the job, or the future of an `anyjob.Executor`.

    Raises:
        TypeError: it is something else.
    """
    if not getattr(job, STANDS_FOR_RESULT, False):
        raise TypeError(f"result_of() takes a job, or a future of anyjob.Executor, not {job!r}")
    return cast("t.T", _Stands(job))


class _Stands:
    """Stands for the result of a job until the call is handed over: a future may have no job yet."""

    __slots__ = ("job",)
    stands_for_result = True

    def __init__(self, job: Any) -> None:
        self.job = job

    @property
    def is_handed_over(self) -> bool:
        return bool(getattr(self.job, "is_handed_over", True))

    def _reference(self) -> Any:
        return self.job._reference()


STANDS_FOR_RESULT: Literal["stands_for_result"] = "stands_for_result"
"""The attribute of a class whose instances are replaced so, by what their ``_reference()`` returns."""

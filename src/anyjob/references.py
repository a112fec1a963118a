"""What stands in the arguments of a call for what another job leaves, until the call runs.

The runner imports nothing of anyjob, and knows these classes by name: `anyjob.execution.runner.Results`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal


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


STANDS_FOR_RESULT: Literal["stands_for_result"] = "stands_for_result"
"""The attribute of a class whose instances are replaced so, by what their ``_reference()`` returns."""

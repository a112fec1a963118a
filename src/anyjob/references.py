"""What stands in the arguments of a call for what another job leaves, until the call runs.

The runner imports nothing of anyjob, and knows these classes by name: `anyjob.standalone.runner.Results`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from anyjob import _typing as t

T = TypeVar("T")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
        lift: what makes the result of what the job has left, one after the other, where it was rewritten as
            another kind of work; where its `result()` is asked, none.
    """

    __slots__ = ("job", "job_id", "lift", "name")
    stands_for_result = True

    def __init__(
        self, job_id: str, name: str = "", job: Any = None, lift: tuple[Callable[[Any], Any], ...] = ()
    ) -> None:
        self.job_id = job_id
        self.name = name
        self.job = job
        self.lift = lift

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
        return type(self), (*self._key(), None, self.lift) if self.lift else self._key()

    def __repr__(self) -> str:
        return f"<result of {self.name or self.job_id[:7]}>"

    def _key(self) -> tuple[str, ...]:
        return self.job_id, self.name


class OutputPath(str):
    """The path of a file that a job leaves: text as any other, and what it is part of starts after that job.

    Args:
        path: the whole path.
        job_id: which job.
        name: what that is called, for people.
        job: a handle on it, in the process that has one; it does not go along.
    """

    job_id: str
    name: str
    job: Any
    stands_for_result = True

    def __new__(cls, path: str, job_id: str, name: str = "", job: Any = None) -> OutputPath:
        """Make the text, and note whose file that is."""
        made = super().__new__(cls, path)
        made.job_id, made.name, made.job = job_id, name, job
        return made

    @property
    def called(self) -> str:
        """The job, as messages name it."""
        return f"{self.job_id} ({self.name})" if self.name else self.job_id

    def of(self, job_id: str) -> OutputPath:
        """Return the path of what another job leaves that is run in place of that one."""
        old, new = (f"/{one[:2]}/{one}/" for one in (self.job_id, job_id))
        return type(self)(self.replace(old, new), job_id, self.name)

    def _reference(self) -> OutputPath:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.job_id, self.name)


class Lazy(Generic[T]):
    """What a call gets for `lazy(job)`, for annotations: its class is another one where the call runs."""

    def load(self) -> T:
        """Read the result: anew each time.

        Raises:
            Exception: it cannot be had any more.
        """
        raise NotImplementedError


class LazyResultOf(ResultOf):
    """Stands for the result of another job, which is read when the call wants it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<lazy result of {self.name or self.job_id[:7]}>"


def lazy(job: t.TaskJob[t.T] | t.JobFuture[t.T]) -> t.Lazy[t.T]:
    """Return what stands in the arguments of a call for the result of a job, to be read when it is wanted.

    The call gets an object with a method ``load()``, which reads the result anew each time, and keeps nothing
    of it. It is waited for all the same.

    Args:
        job: the job, or the future of an `anyjob.Executor`.

    Raises:
        TypeError: it is something else.
    """
    return cast("t.Lazy[t.T]", _Lazy(_checked(job, "lazy")))


def result_of(job: t.TaskJob[t.T] | t.JobFuture[t.T]) -> t.T:
    """Return what stands for the result of a job in the arguments of a call, as the job itself does.

    For type checkers it is of the type of the result: ``executor.submit(len, result_of(future))``.

    Args:
        job: the job, or the future of an `anyjob.Executor`.

    Raises:
        TypeError: it is something else.
    """
    return cast("t.T", _Stands(_checked(job, "result_of")))


def _checked(job: Any, who: str) -> Any:
    if not getattr(job, STANDS_FOR_RESULT, False):
        raise TypeError(f"{who}() takes a job, or a future of anyjob.Executor, not {job!r}")
    return job


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


class _Lazy(_Stands):
    """The same, for one that is read when it is wanted."""

    __slots__ = ()

    def _reference(self) -> Any:
        found = self.job._reference()
        return LazyResultOf(found.job_id, found.name, found.job, found.lift)


STANDS_FOR_RESULT: Literal["stands_for_result"] = "stands_for_result"
"""The attribute of a class whose instances are replaced so, by what their ``_reference()`` returns."""

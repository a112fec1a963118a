"""What checks look through: which calls a backend gets, and waits that say what did not happen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from anyjob.errors import JobTimeoutError
from anyjob.specs import Outcome


class CallRecorder:
    """Stands in front of one of the methods of a backend, inside a ``with``, and notes its calls.

    Args:
        backend: whose method it is.
        method: ``launch``, ``observe``, ``terminate``, ``find`` or ``notify``.
        instead: called with the method itself and its argument, in place of the method.

    Attributes:
        calls: the ids of the jobs that each call was about.
        raised: what the calls raised.
    """

    def __init__(self, backend: Any, method: str, instead: Callable[[Any, Any], Any] | None = None) -> None:
        self.calls: list[list[str]] = []
        self.raised: list[Exception] = []
        self._real = getattr(backend, method)
        self._instead = instead
        self._lock = threading.Lock()
        self._changed = Changed(backend, **{method: self._call})

    def _call(self, about: Sequence[Any]) -> Any:
        about = list(about)
        with self._lock:
            self.calls.append([each if isinstance(each, str) else each.job_id for each in about])
        try:
            return self._real(about) if self._instead is None else self._instead(self._real, about)
        except Exception as error:
            self.raised.append(error)
            raise

    def about(self, job_id: str) -> int:
        """Return how many of the calls were about this job."""
        with self._lock:
            return sum(job_id in call for call in self.calls)

    def __enter__(self) -> CallRecorder:
        self._changed.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._changed.__exit__()


class Changed:
    """Changes attributes of one backend inside a ``with``, such as ``grace``."""

    def __init__(self, backend: Any, **attributes: Any) -> None:
        self._backend = backend
        self._attributes = attributes

    def __enter__(self) -> None:
        self._before = {name: own for name, own in vars(self._backend).items() if name in self._attributes}
        for name, value in self._attributes.items():
            setattr(self._backend, name, value)

    def __exit__(self, *_: object) -> None:
        for name in self._attributes:
            delattr(self._backend, name)
        for name, value in self._before.items():
            setattr(self._backend, name, value)


def ended(job: Any, patience: float, what: Callable[[], str] | None = None) -> Outcome:
    """Wait until a job has ended, and return what came of it.

    Args:
        job: the job.
        patience: seconds.
        what: asked what happened to the job, where it does not end.

    Raises:
        AssertionError: it did not, within so many seconds.
    """
    try:
        outcome: Outcome = job.outcome(patience)
    except JobTimeoutError as error:
        raise AssertionError(str(error) if what is None else f"{what()}: {error}") from error
    return outcome

"""Failures that keep some jobs from being looked at, and no others: each backend's are reported once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import ParamSpec, TypeVar

from anyjob.errors import BackendUnavailableError, in_words
from anyjob.process.reporting import report

MOST = 3
"""Failures in a row after which a backend is asked about no more jobs: each may have been a timeout."""

P = ParamSpec("P")
T = TypeVar("T")


class Failures:
    """Collects what backends raise while a list of jobs is looked at: that may be anything.

    Args:
        what: what becomes of the jobs that it is about: ``left out``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._first: dict[Hashable, tuple[str, Exception]] = {}
        self._jobs: dict[Hashable, int] = {}
        self._in_a_row: dict[Hashable, int] = {}

    def attempt(
        self, backend: Hashable, label: str, look: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Look at a job of a backend; None where that fails, or has failed so often that it is not tried.

        Args:
            backend: what tells backends apart.
            label: what this one is called.
            look: what to call.
            *args: its arguments.
            **kwargs: its arguments by name.
        """
        if self._in_a_row.get(backend, 0) < MOST:
            try:
                found = look(*args, **kwargs)
            except Exception as error:  # of a plugin: counted, and told at the end
                self._first.setdefault(backend, (label, error))
                away = isinstance(error, (BackendUnavailableError, OSError))
                self._in_a_row[backend] = MOST if away else self._in_a_row.get(backend, 0) + 1
            else:
                self._in_a_row.pop(backend, None)
                return found
        self._jobs[backend] = self._jobs.get(backend, 0) + 1
        return None

    def report(self) -> None:
        """Report them, one line a backend."""
        for backend, (label, error) in self._first.items():
            count = self._jobs[backend]
            jobs = "1 job is" if count == 1 else f"{count} jobs are"
            report("backend %r: %s %s: %s", label, jobs, self._what, in_words(error))

    def raise_first(self) -> None:
        """Raise what the first backend has raised, if one has; report the others."""
        first = next(iter(self._first), None)
        if first is not None:
            _, error = self._first.pop(first)
            self.report()
            raise error

"""Cancels what is left of a job file when a job of it has failed, where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from anyjob.cli.terminal.output import print_message


class FailFast:
    """Hears of each job that ends, and cancels those that have not, once one has failed.

    Args:
        name: what is run, for a message.
        jobs: those that are cancelled then.
        cancel: cancels jobs.
        is_wanted: whether it is asked for; else all go on.
    """

    def __init__(
        self, name: str, jobs: Iterable[Any], cancel: Callable[[list[Any]], object], *, is_wanted: bool
    ) -> None:
        self._name = name
        self._left = {id(job): job for job in jobs} if is_wanted else {}
        self._cancel = cancel

    def ended(self, job: Any, state: str) -> None:
        """A job has ended."""
        self._left.pop(id(job), None)
        if state == "ERROR" and self._left:
            left, self._left = list(self._left.values()), {}
            others = "the other job is" if len(left) == 1 else f"the other {len(left)} are"
            print_message(f"{self._name}: job {job.job_id()[:8]} has failed: {others} cancelled")
            self._cancel(left)

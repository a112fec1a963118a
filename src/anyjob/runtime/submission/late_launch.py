"""Hands jobs to their engine that are in the ledger since they were submitted, and have waited until now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from anyjob import _typing as t
from anyjob.errors import BackendUnavailableError, StateError, in_words
from anyjob.execution.next_attempt import grown
from anyjob.orders import Order
from anyjob.runtime.submission.launch import Launch, rejected
from anyjob.tracking.records import JobRecord


def launch_late(
    backend: t.TaskBackend,
    records: Sequence[JobRecord],
    retried: int = 0,
    reading: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> list[str]:
    """Hand jobs to their engine; return those that it was not given, and that can be handed over anew.

    Whatever else comes of one is written: the engine's id, or that it was not taken, and why.

    Args:
        backend: the backend that they were submitted to.
        records: those of jobs of one bulk, which were run again as often by their policies.
        retried: how often that is.
        reading: what the call of a job is read within.
    """
    orders = []
    for record in records:
        record.deferred = False
        try:
            with reading(record.job_id):
                order = backend._order(record, backend.job_options(record.resources))
        except BackendUnavailableError:
            return [each.job_id for each in records]
        except (
            Exception,
            SystemExit,
        ) as error:  # what was fit to be submitted may not be any more: a module is gone, say
            backend._tracker.end(record, rejected(_why(error)))
            continue
        if retried:
            order.resources = grown(order.resources, retried)
        orders.append(order)
    return launch_orders(backend, orders, {record.attempt_id: record for record in records})


def launch_orders(
    backend: t.TaskBackend, orders: Sequence[Order], records: Mapping[str, JobRecord]
) -> list[str]:
    """Hand over orders as `launch_late` does."""
    launch = _LateLaunch(backend, orders, records)
    launch.go()
    for record in records.values():
        if record.native_id is not None:
            backend._tracker.submitted(backend._tracker.handle(record))
    return launch.left


class _LateLaunch(Launch):
    """A launch of jobs that are in the ledger, and stay there whatever comes of it."""

    def __init__(
        self, backend: t.TaskBackend, orders: Sequence[Order], records: Mapping[str, JobRecord]
    ) -> None:
        super().__init__(backend, orders, records)
        self.left: list[str] = []
        """The ids of jobs that the engine was not given, since it is away."""

    def go(self) -> None:
        """Launch; what the backend raises is told of the jobs that it is about."""
        try:
            self.run()
        except Exception as error:  # of a plugin: told of the jobs, since nobody waits for this call
            if not self.left:
                self._reject(error)

    def give_up(self, error: BaseException, nothing: bool) -> None:
        """Keep for later what was not handed over for now; reject it where that would not help."""
        if isinstance(error, BackendUnavailableError | OSError | StateError):
            self.left = sorted(self._records[each].job_id for each in self.unanswered)
        elif isinstance(error, Exception):
            self._reject(error)

    def _reject(self, error: Exception) -> None:
        for job_id in sorted(self.unanswered):
            record = self._records[job_id]
            if record.outcome is None and record.native_id is None:
                self._tracker.end(record, rejected(_why(error)))


def _why(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return (
            f"a module of its call ends what imports it ({in_words(error)}): "
            "what it does as a program belongs below `if __name__ == '__main__':`"
        )
    return in_words(error)

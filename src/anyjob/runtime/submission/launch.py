"""Gives orders to an engine, and does what follows from each of its answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from anyjob import _typing as t
from anyjob.errors import BackendError, DependencyFailedError
from anyjob.orders import Answer, Order, Rejected, Unsure
from anyjob.outcome import Outcome
from anyjob.resources import Resources
from anyjob.specs import Call, Command, check_left, outputs_in
from anyjob.status import JobStatus
from anyjob.tracking.records import JobRecord

NOTED = 0.1
"""Seconds, at most, that the ledger lacks the native ids of a launch that is under way."""


class Launch:
    """One call of a backend's ``launch``, or of its ``launch_parts``, and what is done with each answer.

    Orders and records go by the ids that the engine is given.

    Those that the engine has are not lost to the caller: only where it has none is an error of ``launch``
    raised. Else it is what came of the others. What an interrupt leaves without an answer may be there.
    """

    def __init__(
        self, backend: t.TaskBackend, orders: Sequence[Order], records: Mapping[str, JobRecord]
    ) -> None:
        self._backend = backend
        self._tracker = backend._tracker
        self._orders: list[Order] = []
        self._records = records
        self.unanswered: set[str] = set()
        self._native_ids: dict[str, str] = {}  # those that the ledger does not have yet
        self._later: dict[str, int] = {}
        self._add(orders)
        self._noted = time.monotonic()
        self._nonsense = ""

    def _add(self, orders: Sequence[Order]) -> None:
        self._orders += orders
        self.unanswered.update(order.job_id for order in orders)
        self._later.update(
            (self._records[one.job_id].job_id, one.attempt) for one in orders if one.attempt > 1
        )

    def _each(self, parts: Iterable[Sequence[Order]]) -> Iterator[Sequence[Order]]:
        """Yield what is to be launched of each part, when that is asked for."""
        for orders in parts:
            self._add(orders)
            yield self._ready(orders)

    def _ready(self, orders: Sequence[Order]) -> Sequence[Order]:
        """Return those that can be launched: of the others the end is known."""
        if self._backend.queues_in_ledger or self._backend.holds_results:
            return orders
        ready = [order for order in orders if self._give_results(order)]
        if len(ready) < len(orders):
            known = {order.job_id for order in orders} - {order.job_id for order in ready}
            self._orders = [order for order in self._orders if order.job_id not in known]
        return ready

    def _answers(self, parts: Iterable[Sequence[Order]] | None) -> Iterable[tuple[Order, Answer]]:
        if parts is not None:
            return self._backend.launch_parts(self._each(parts))
        orders = self._ready(self._orders)
        return self._backend.launch(orders) if orders else ()

    def run(self, parts: Iterable[Sequence[Order]] | None = None) -> None:
        """Launch.

        Args:
            parts: orders beside those that were given, which are entered when they are asked for.

        Raises:
            BackendError: something that is no answer was given.
            Exception: as the backend's ``launch`` does.
        """
        try:
            for order, answer in self._answers(parts):
                self._take(order.job_id, answer)
        except BaseException as error:
            nothing = len(self.unanswered) == len(self._orders)
            self.give_up(error, nothing)
            if nothing or not isinstance(error, Exception):
                raise
        else:
            for job_id in self.unanswered:  # an engine that says nothing has not said no
                self._tracker.unsure(self._records[job_id])
        finally:
            self._backend.recorder.launched(self._native_ids, self._later)
        if self._nonsense:
            raise BackendError(
                f"launch() of {type(self._backend).__qualname__} gave {self._nonsense}: it gives the "
                "engine's id as text, Rejected(reason) or Unsure()"
            )

    def _give_results(self, order: Order) -> bool:
        """Give work what other jobs leave, results and files; tell whether that can be had."""
        record = self._records[order.job_id]
        work = record.specs[0]
        try:
            if isinstance(work, Command):
                for path in outputs_in(work):
                    check_left(path)
            elif isinstance(work, Call):
                from anyjob.runtime.dependencies.job_arguments import holds_handle

                if holds_handle([work.args, work.kwargs.values()]):
                    from anyjob.runtime.dependencies.late_results import with_results

                    order.spec = with_results(self._backend, record)
            if record.kept:
                order.kept, order.unused, record.kept = record.kept, record.unused, {}
        except DependencyFailedError as error:
            self.unanswered.remove(order.job_id)
            why = Outcome(status=JobStatus.ERROR, reason="dependency", message=str(error))
            self._tracker.end(record, why)
            return False
        return True

    def _take(self, job_id: str, answer: Any) -> None:
        self.unanswered.remove(job_id)
        record = self._records[job_id]
        if isinstance(answer, str):
            self._native_ids[record.job_id] = answer
            self._tracker.launched(record, answer)
            if time.monotonic() - self._noted > NOTED:
                self._backend.recorder.launched(self._native_ids, self._later)
                self._native_ids, self._noted = {}, time.monotonic()
        elif isinstance(answer, Rejected):
            self._tracker.end(record, rejected(answer.reason, answer.code))
        else:
            self._tracker.unsure(record)
            if not isinstance(answer, Unsure):  # so it is not known whether the engine has it
                self._nonsense = f"{answer!r:.80} for job {job_id}"

    def give_up(self, error: BaseException, nothing: bool) -> None:
        """See to the jobs that are left without an answer, where ``launch`` has raised."""
        backend = self._backend
        interrupted = backend.capabilities.durable and not isinstance(error, Exception)
        may_be_taken = interrupted or backend.queues_in_ledger
        for job_id in self.unanswered:
            if may_be_taken:
                self._tracker.unsure(self._records[job_id])
            elif nothing:
                self._tracker.remove(self._records[job_id])
            else:
                self._tracker.end(self._records[job_id], rejected(f"{type(error).__name__}: {error}"))
        if nothing and not may_be_taken:
            backend.recorder.remove(list(self.unanswered))


def launch_again(backend: t.EngineAdapter, records: Sequence[JobRecord]) -> dict[str, str]:
    """Hand over jobs that are in the ledger and not with the engine, to which that does no harm.

    Returns:
        the engine's ids of those that it has taken; of those that it will not take, their end is written.

    Raises:
        BackendError: the engine cannot be asked.
    """
    groups: dict[bytes, list[JobRecord]] = {}
    for record in records:
        groups.setdefault(launch_key(backend, record.resources), []).append(record)
    taken = {}
    for some in groups.values():
        by_id = {record.attempt_id: record for record in some}
        orders = [backend._order(record, backend.job_options(record.resources)) for record in some]
        for order, answer in backend.launch(orders):
            if isinstance(answer, str):
                taken[by_id[order.job_id].job_id] = answer
            elif isinstance(answer, Rejected):
                by_id[order.job_id].unsure = False
                backend._tracker.end(by_id[order.job_id], rejected(answer.reason, answer.code))
    return taken


def launch_key(backend: t.EngineAdapter, resources: Resources) -> bytes:
    """Return what is the same of the resources of all jobs that a backend launches together."""
    from anyjob.ledger.encoding import encode_resources

    if backend.mixes_resources:
        return b""
    return encode_resources(replace(resources, name="", tags={}) if backend.mixes_names else resources)


def rejected(why: str, reason: str = "rejected") -> Outcome:
    """Return the outcome of a job that the engine would not take."""
    return Outcome(status=JobStatus.ERROR, reason=reason, message=why)


def was_rejected(record: JobRecord) -> bool:
    """Tell whether a job has ended since the engine would not take it."""
    reason = record.outcome and record.outcome.reason
    return reason == "rejected" or (reason == "missing-module" and record.native_id is None)

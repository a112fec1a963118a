"""Hands work to a task backend: checked, lowered, written down before the engine hears of it, launched."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import BackendUnavailableError, Refused, SpecError
from anyjob.execution.parent_job import parent_job
from anyjob.orders import Order
from anyjob.process.collector import collector_at_rest
from anyjob.resources import Resources
from anyjob.runtime.capability_checks import check_spec, check_tasks
from anyjob.runtime.ids import new_id
from anyjob.runtime.lowering import find_route, lower_along
from anyjob.runtime.recording.recorder import Entered
from anyjob.runtime.services import AMENDED
from anyjob.runtime.submission.launch import Launch, rejected
from anyjob.runtime.submission.shared_resources import SharedResources
from anyjob.runtime.submission.take_back import take_back
from anyjob.specs import File, Spec, T, kind_of
from anyjob.standalone.shadowing import note_shadowing
from anyjob.tracking.records import JobRecord
from anyjob.tracking.watcher import was_closed

if TYPE_CHECKING:
    from anyjob.ledger.once import Claim
    from anyjob.runtime.dependencies.prerequisites import After
    from anyjob.taskjob import TaskJob

_NO_NOTES: Mapping[str, str] = {}  # of all jobs that have none


def submit(
    backend: t.TaskBackend,
    specs: Sequence[Spec[T]],
    resources: Resources | Sequence[Resources],
    *,
    raise_refusal: bool = False,
    rerun_of: Sequence[str] = (),
    parameters: Sequence[Mapping[str, Any]] = (),
    after: Sequence[After] = (),
    once: Sequence[Claim] = (),
    job_ids: Sequence[str] = (),
) -> list[TaskJob[T]]:
    """Hand over work; return its jobs in order.

    Args:
        backend: what it is handed to.
        specs: the work.
        resources: what each needs and what it is called: the same for all, or for each its own.
        raise_refusal: raise what a plugin refuses with, in place of a job that has failed so.
        rerun_of: for each the id of the job that it runs anew, and so supersedes.
        parameters: for each its values of the axes of a job file, for listings.
        after: for each what it starts after.
        once: for each under which key it is to be done once. Of one that was submitted under that meanwhile,
            by another process or thread, the handle is returned in its place.
        job_ids: for each the id that it has elsewhere already, and is to have here; by default, new ones.

    Raises:
        AnyjobError: as `TaskBackend.run` and `TaskBackend.run_many` say.
    """
    backend._check_here("hand it work")
    if backend.is_closed:
        raise was_closed(backend)
    try:
        backend.learn_capabilities()
    except BackendUnavailableError:
        if not after:  # else it may be back by the time that there is something to hand over
            raise
    with collector_at_rest(len(specs), durable=backend.capabilities.durable):
        shared = SharedResources(backend)
        records = _records(backend, specs, shared.of_each(resources, len(specs)), job_ids)
        parent = parent_job()
        for record in records:
            record.parent = parent
        for record, original in zip(records, rerun_of, strict=False):
            record.rerun_of = original
        for record, values in zip(records, parameters, strict=False):
            record.parameters = values
        for record, needed in zip(records, after, strict=False):
            record.after = needed
        for record, claim in zip(records, once, strict=False):
            record.once = claim
        groups = _admit(backend, records, shared, raise_refusal=raise_refusal)
        _tell_amendments(records)
        return _hand_over(backend, records, groups)


def _hand_over(
    backend: t.TaskBackend, records: Sequence[JobRecord], groups: Iterable[list[Order]]
) -> list[TaskJob[Any]]:
    """Hand over one group after the other; what has been handed over is taken back where that fails."""
    handover = _Handover(backend, records)
    try:
        for orders in groups:
            handover.hand_over(orders)
        return handover.handles()
    except BaseException as error:
        note_shadowing(error)
        if handover.has_entered or not isinstance(error, Exception):
            take_back(backend, handover.own, error)
        raise


def _records(
    backend: t.TaskBackend, specs: Sequence[Spec], resources: Sequence[Resources], job_ids: Sequence[str]
) -> list[JobRecord]:
    """Return the records of new jobs, with their work lowered to what the backend accepts."""
    now = time.time()
    ids = iter(job_ids)
    return [
        JobRecord.new(backend._tracker, next(ids, None) or new_id(), chain, own, now)
        for chain, own in zip(_lower(backend, specs), resources, strict=True)
    ]


def _admit(
    backend: t.TaskBackend, records: Sequence[JobRecord], shared: SharedResources, *, raise_refusal: bool
) -> Iterable[list[Order]]:
    """Have plugins amend or refuse jobs; return the orders of the others, in groups launched together.

    Jobs that were refused have ended.

    Raises:
        Refused: one was refused, and that is to be raised.
    """
    groups: dict[Hashable, list[Order]] = {}  # by what they are given, which plugins may have amended
    for record in records:
        own = given = record.resources
        try:
            admitted = backend.services.before_submit(backend, record.job_id, record.specs[0], own)
        except Refused as refusal:
            if raise_refusal:
                raise
            backend._tracker.settle(record, rejected(str(refusal)))
            continue
        record.notes = (admitted and admitted.notes) or _NO_NOTES
        if admitted is not None and admitted.resources is not own:
            given = shared.amended(admitted.resources)
            record.give(given)
        check_tasks(backend, record)
        order = backend._order(record, shared.options(given))
        groups.setdefault(shared.key(given), []).append(order)
    return groups.values()


def _tell_amendments(records: Iterable[JobRecord]) -> None:
    """Say what plugins have changed, each change once for all jobs that are submitted together."""
    told = {record.notes[AMENDED]: None for record in records if record.notes and AMENDED in record.notes}
    for each in told:
        from anyjob.process.reporting import report

        report("%s", each, logger="anyjob.plugins", level="info")


class _Handover:
    """The jobs of one call on their way: each group of orders is written down, then launched."""

    def __init__(self, backend: t.TaskBackend, records: Sequence[JobRecord]) -> None:
        self._backend = backend
        self._tracker = backend._tracker
        self._records = records
        self.own = {record.job_id: record for record in records}
        """The records of those that are not another's by now: see ``once`` of `submit`."""
        self._others: dict[str, str] = {}
        """The ids of those that others have submitted meanwhile, by the ids that ours would have had."""
        self.has_entered = False
        """Whether some may be in the ledger."""

    def hand_over(self, orders: list[Order]) -> None:
        """Write orders down, all or none, and launch those that may start now; or part by part."""
        part = self._backend.part
        if 0 < part < len(orders) and not any(
            self.own[order.job_id].after or self.own[order.job_id].once for order in orders
        ):
            self._hand_over_in_parts([orders[n : n + part] for n in range(0, len(orders), part)])
            return
        some = [self.own[order.job_id] for order in orders]
        followed: list[JobRecord] = []
        if self._backend.keeps_results and any(record.after for record in some):
            from anyjob.runtime.dependencies import kept_results

            followed = kept_results.started_by_engine(self._backend, [each for each in some if each.after])
        entered = self._backend.recorder.enter(some)
        self.has_entered = True
        try:
            self._launch(orders, some, followed, entered)
        finally:
            self._backend.recorder.handed_over(entered)

    def _hand_over_in_parts(self, parts: Sequence[list[Order]]) -> None:
        """Write each part down, all or none, while those before it are launched."""
        written: list[Entered] = []
        failed: list[Exception] = []

        def entered() -> Iterator[list[Order]]:
            for orders in parts:
                some = [self.own[order.job_id] for order in orders]
                try:
                    written.append(self._backend.recorder.enter(some))
                except Exception as error:  # which is none of the engine, that may have those before it
                    failed.append(error)
                    return
                self.has_entered = True
                for record in some:
                    self._tracker.add(record)
                yield orders

        try:
            Launch(self._backend, (), self.own).run(entered())
        finally:
            for each in written:
                self._backend.recorder.handed_over(each)
        if failed:
            raise failed[0]

    def _launch(
        self, orders: list[Order], some: Sequence[JobRecord], followed: Sequence[JobRecord], entered: Entered
    ) -> None:
        if entered.taken:
            self._others.update(entered.taken)
            orders = [order for order in orders if order.job_id not in entered.taken]
            for job_id in entered.taken:
                del self.own[job_id]
        for order in orders:
            record = self.own[order.job_id]
            self._tracker.add(record)
            if record.job_id in entered.later:
                self._tracker.deferred(record)
        if entered.later:
            orders = [order for order in orders if order.job_id not in entered.later]
        held: list[Order] = []
        if not self._backend.capabilities.durable:  # nobody but this process is there to start them later
            waits = {record.job_id for record in some if record.after and not record.kept}
            held = [order for order in orders if order.job_id in waits]
            if held:
                orders = [order for order in orders if order.job_id not in waits]
        Launch(self._backend, orders, self.own).run()
        if followed and not self._backend.capabilities.durable:
            from anyjob.runtime.dependencies import kept_results

            for record in followed:
                kept_results.Followed(record, listens=not self._backend.answers_from_memory)
        if held:
            from anyjob.runtime.dependencies.held_jobs import hold

            for order in held:
                self._tracker.queued(self.own[order.job_id])
            hold(self._backend, held, self.own)

    def handles(self) -> list[TaskJob[Any]]:
        """Return handles on all jobs in order, now that all are handed over; tell hooks and listeners.

        Raises:
            Exception: a hook has raised one, and hooks are strict.
        """
        for record in self._records:
            if record.outcome is not None:  # those that were refused
                self._tracker.add(record)
        found = self._backend.services.jobs(self._backend, self._others.values()) if self._others else {}
        jobs: list[TaskJob[Any]] = []
        for record in self._records:
            other = self._others.get(record.job_id)
            job = self._tracker.handle(record) if other is None else found[other]
            jobs.append(job)
            if other is None and record.native_id is not None:
                self._tracker.submitted(job)
        for record in self.own.values():
            if record.hook_error is not None:
                record.raise_hook_error()
        return jobs


def _lower(backend: t.TaskBackend, specs: Sequence[Spec]) -> list[tuple[Spec, ...]]:
    job_type = backend.services.job_type
    content = _taken_for(backend)
    shared_files = backend.capabilities.shared_files
    routes: dict[str, tuple[str, ...]] = {}
    lowered = []
    for spec in specs:
        kind = kind_of(spec)
        route = routes.get(kind)
        if route is None:
            try:
                route = routes[kind] = find_route(kind, backend.accepts, job_type, shared_files=shared_files)
            except SpecError as error:
                raise type(error)(f"backend {backend.name()!r}: {error}{backend.why_no_more}") from None
        chain = lower_along(spec, route, job_type, shared_files=shared_files, content=content)
        check_spec(backend, chain[-1])
        lowered.append(chain)
    return lowered


def _taken_for(backend: t.TaskBackend) -> Callable[[File], File]:
    """Return what takes the content of a file for the jobs of a backend."""
    store: Any = None

    def content(file: File) -> File:
        nonlocal store
        if not (backend.takes_large_files or file.sha256):
            return file.taken()
        if store is None:
            from anyjob.runtime.recording.content_store import ContentStore  # which loads OpenSSL

            store = ContentStore(backend.services.ledger.state)
        taken: File = (
            store.take(file, backend._sent_while_taken)
            if backend.takes_large_files
            else store.in_memory(file)
        )
        return taken

    return content

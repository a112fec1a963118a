"""Hands work to a task backend: checked, lowered, written down before the engine hears of it, launched."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from anyjob.errors import (
    BackendError,
    BackendUnavailableError,
    DependencyFailedError,
    Refused,
    SpecError,
    StateError,
)
from anyjob.orders import Order, Rejected, Unsure
from anyjob.outcome import Outcome
from anyjob.resources import Resources
from anyjob.retry import fitting
from anyjob.runtime.capability_checks import check_resources, check_spec, check_tasks
from anyjob.runtime.ids import new_id
from anyjob.runtime.lowering import find_route, lower_along
from anyjob.runtime.services import AMENDED
from anyjob.specs import Call, Command, File, Spec, T, check_left, kind_of, outputs_in
from anyjob.status import JobStatus
from anyjob.tracking.records import JobRecord

if TYPE_CHECKING:
    from anyjob.runtime.dependencies.prerequisites import After
    from anyjob.runtime.engine_adapter import EngineAdapter
    from anyjob.runtime.once import Claim
    from anyjob.taskbackend import TaskBackend
    from anyjob.taskjob import TaskJob

SHOWN = 10
"""Ids of jobs that an error names, at most."""
NOTED = 1.0
"""Seconds, at most, that the ledger lacks the native ids of a launch that is under way."""
_NO_NOTES: Mapping[str, str] = {}  # of all jobs that have none


def submit(
    backend: TaskBackend,
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
    try:
        backend.learn_capabilities()
    except BackendUnavailableError:
        if not after:  # else it may be back by the time that there is something to hand over
            raise
    given = _Given(backend)
    asked = (
        [given.asked(resources)] * len(specs)
        if isinstance(resources, Resources)
        else list(map(given.asked, resources))
    )
    tracker, services = backend._tracker, backend.services
    now = time.time()
    ids = iter(job_ids)
    records = [
        JobRecord.new(tracker, next(ids, None) or new_id(), chain, own, now)
        for chain, own in zip(_lower(backend, specs), asked, strict=True)
    ]
    for record, original in zip(records, rerun_of, strict=False):
        record.rerun_of = original
    for record, values in zip(records, parameters, strict=False):
        record.parameters = values
    for record, needed in zip(records, after, strict=False):
        record.after = needed
    for record, claim in zip(records, once, strict=False):
        record.once = claim
    groups: dict[Hashable, list[Order]] = {}  # by what they are given, which plugins may have amended
    for record in records:
        own = record.resources
        try:
            admitted = services.before_submit(backend, record.job_id, record.specs[0], own)
        except Refused as refusal:
            if raise_refusal:
                raise
            tracker.settle(record, rejected(str(refusal)))
            continue
        record.notes = (admitted and admitted.notes) or _NO_NOTES
        if admitted is not None and admitted.resources is not own:
            record.give(given.shared(admitted.resources))
        check_tasks(backend, record)
        order = backend._order(record, given.options(record.resources))
        groups.setdefault(given.key(record.resources), []).append(order)
    _tell_amendments(records)
    by_id = {record.job_id: record for record in records}
    entered = False
    taken: dict[str, str] = {}
    try:
        for orders in groups.values():
            some = [by_id[order.job_id] for order in orders]
            made = backend.recorder.enter(some)
            later, others = made.later, made.taken
            held: list[Order] = []
            if after and not backend.capabilities.durable:
                held = [order for order in orders if by_id[order.job_id].after]
                orders = [order for order in orders if not by_id[order.job_id].after]
            entered = True
            if others:
                taken.update(others)
                orders = [order for order in orders if order.job_id not in others]
                some = [by_id[order.job_id] for order in orders]
                for job_id in others:
                    del by_id[job_id]
            for record in some:
                tracker.add(record)
                if record.job_id in later:
                    tracker.deferred(record)
            if later:
                orders = [order for order in orders if order.job_id not in later]
            Launch(backend, orders, by_id).run()
            if held:
                from anyjob.runtime.dependencies.held_jobs import hold

                for order in held:
                    tracker.queued(by_id[order.job_id])
                hold(backend, held, by_id)
        for record in records:
            if record.outcome is not None:  # those that were refused
                tracker.add(record)
        found = services.jobs(backend, taken.values()) if taken else {}
        jobs: list[TaskJob[T]] = []
        for record in records:
            other = taken.get(record.job_id)
            job = tracker.handle(record) if other is None else found[other]
            jobs.append(job)
            if other is None and record.native_id is not None:
                tracker.submitted(job)
        for record in by_id.values():
            record.raise_hook_error()
        return jobs
    except BaseException as error:
        if entered or not isinstance(error, Exception):
            take_back(backend, by_id, error)
        raise


def launch_again(backend: EngineAdapter, records: Sequence[JobRecord]) -> dict[str, str]:
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
                backend._tracker.end(by_id[order.job_id], rejected(answer.reason))
    return taken


def launch_key(backend: EngineAdapter, resources: Resources) -> bytes:
    """Return what is the same of the resources of all jobs that a backend launches together."""
    from anyjob.ledger.encoding import encode_resources

    if backend.mixes_resources:
        return b""
    return encode_resources(replace(resources, name="", tags={}) if backend.mixes_names else resources)


class _Given:
    """What jobs of one call are given, each once, with the options of a job that follow from it."""

    def __init__(self, backend: TaskBackend) -> None:
        self._backend = backend
        self._asked: dict[int, tuple[Resources, Resources]] = {}  # as it came, and as it is
        self._options: dict[int, Any] = {}
        self._keys: dict[int, bytes] = {}  # of resources that differ in their names, perhaps
        self._known: dict[bytes, Resources] = {}

    def asked(self, resources: Resources) -> Resources:
        """Return what a job has that asks for this: what it leaves open is as its backend has it."""
        found = self._asked.get(id(resources))
        if found is None:
            own, backend = resources, self._backend
            if own.retries is None and backend.retries is not None:
                own = replace(own, retries=fitting(backend.retries, own))
            self._options[id(own)] = backend.job_options(own)
            check_resources(backend, own)
            found = self._asked[id(resources)] = resources, own
        return found[1]

    def shared(self, amended: Resources) -> Resources:
        """Return the resources that are like these."""
        from anyjob.ledger.encoding import encode_resources

        check_resources(self._backend, amended)
        return self._known.setdefault(encode_resources(amended), amended)

    def options(self, resources: Resources) -> Any:
        """Return the options of a job that is given these, which are among those shared."""
        found = self._options.get(id(resources))
        if found is None:
            found = self._options[id(resources)] = self._backend.job_options(resources)
        return found

    def key(self, resources: Resources) -> Hashable:
        """Return what is the same of those that are launched together."""
        if not self._backend.mixes_names:
            return 0 if self._backend.mixes_resources else id(resources)
        found = self._keys.get(id(resources))
        if found is None:
            found = self._keys[id(resources)] = launch_key(self._backend, resources)
        return found


def _tell_amendments(records: Iterable[JobRecord]) -> None:
    """Say what plugins have changed, each change once for all jobs that are submitted together."""
    told = {record.notes[AMENDED]: None for record in records if record.notes and AMENDED in record.notes}
    for each in told:
        from anyjob.process.reporting import report

        report("%s", each, logger="anyjob.plugins", level="info")


def take_back(backend: TaskBackend, records: Mapping[str, JobRecord], error: BaseException) -> None:
    """Cancel the jobs that the engine has, since nobody gets their handles; the error tells of them.

    What stands in the ledger is not deleted: the engine may have it.

    Args:
        backend: what they were handed to.
        records: all jobs of a call that raises, by id.
        error: what it raises.
    """
    with suppress(StateError):
        for job_id in backend.recorder.entered([i for i in records if records[i].native_id is None]):
            if backend.queues_in_ledger:  # so it was handed over
                records[job_id].unsure = False
                backend._tracker.launched(records[job_id], job_id)
            elif records[job_id].outcome is None and not records[job_id].deferred:
                backend._tracker.unsure(records[job_id])
    there = [record for record in records.values() if record.native_id is not None]
    handed = [record for record in there if record.outcome is None]
    open_ids = {record.job_id for record in handed}
    ended = [record.job_id for record in there if record.job_id not in open_ids]
    unsure = [record.job_id for record in records.values() if record.unsure]
    deferred = [record.job_id for record in records.values() if record.deferred]
    held = [record for record in records.values() if record.held is not None]
    cancelled = [record.job_id for record in held if record.held.cancel()]
    try:
        if deferred:
            cancelled += backend.recorder.cancel_deferred(deferred)
        if handed:
            backend.recorder.stop_attempts([record.job_id for record in handed])
            answers = backend.terminate([record.ticket() for record in handed])
            cancelled += [record.job_id for record in handed if answers.get(record.attempt_id)]
    except BaseException as failure:  # Ctrl-C once more, or nobody answers
        error.add_note(f"anyjob: they could not be cancelled: {type(failure).__name__}: {failure}")
    known = set(cancelled)
    left = [record.job_id for record in handed if record.job_id not in known]
    for job_ids, what in (
        (ended, "at their end"),
        (cancelled, "cancelled"),
        (left, "not cancelled"),
        (unsure, "perhaps handed over"),
    ):
        if job_ids:
            error.add_note(f"anyjob: jobs of backend {backend.name()!r} that were {what}: {_listed(job_ids)}")


def _listed(job_ids: Sequence[str]) -> str:
    more = f" and {len(job_ids) - SHOWN} more" if len(job_ids) > SHOWN else ""
    return ", ".join(job_ids[:SHOWN]) + more


def _lower(backend: TaskBackend, specs: Sequence[Spec]) -> list[tuple[Spec, ...]]:
    job_type = backend.services.job_type
    content = _taken_for(backend)
    routes: dict[str, tuple[str, ...]] = {}
    lowered = []
    for spec in specs:
        kind = kind_of(spec)
        route = routes.get(kind)
        if route is None:
            try:
                route = routes[kind] = find_route(
                    kind, backend.accepts, job_type, shared_files=backend.capabilities.shared_files
                )
            except SpecError as error:
                raise type(error)(f"backend {backend.name()!r}: {error}") from None
        chain = lower_along(
            spec, route, job_type, shared_files=backend.capabilities.shared_files, content=content
        )
        check_spec(backend, chain[-1])
        lowered.append(chain)
    return lowered


def _taken_for(backend: TaskBackend) -> Callable[[File], File]:
    """Return what takes the content of a file for the jobs of a backend."""
    store: Any = None

    def content(file: File) -> File:
        nonlocal store
        if not (backend.takes_large_files or file.sha256):
            return file.taken()
        if store is None:
            from anyjob.runtime.recording.content_store import ContentStore  # which loads OpenSSL

            store = ContentStore(backend.services.ledger.state)
        taken: File = (store.take if backend.takes_large_files else store.in_memory)(file)
        return taken

    return content


class Launch:
    """One call of a backend's ``launch``, and what is done with each of its answers.

    Orders and records go by the ids that the engine is given.

    Those that the engine has are not lost to the caller: only where it has none is an error of ``launch``
    raised. Else it is what came of the others. What an interrupt leaves without an answer may be there.
    """

    def __init__(
        self, backend: TaskBackend, orders: Sequence[Order], records: Mapping[str, JobRecord]
    ) -> None:
        self._backend = backend
        self._tracker = backend._tracker
        self._orders = orders
        self._records = records
        self.unanswered = {order.job_id for order in orders}
        self._native_ids: dict[str, str] = {}  # those that the ledger does not have yet
        self._noted = time.monotonic()
        self._nonsense = ""

    def run(self) -> None:
        """Launch.

        Raises:
            BackendError: something that is no answer was given.
            Exception: as the backend's ``launch`` does.
        """
        try:
            if not (self._backend.queues_in_ledger or self._backend.holds_results):
                self._orders = [order for order in self._orders if self._give_results(order)]
            for order, answer in self._backend.launch(self._orders) if self._orders else ():
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
            self._backend.recorder.launched(self._native_ids)
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
                self._backend.recorder.launched(self._native_ids)
                self._native_ids, self._noted = {}, time.monotonic()
        elif isinstance(answer, Rejected):
            self._tracker.end(record, rejected(answer.reason))
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


def rejected(reason: str) -> Outcome:
    """Return the outcome of a job that the engine would not take."""
    return Outcome(status=JobStatus.ERROR, reason="rejected", message=reason)

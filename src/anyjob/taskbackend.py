"""Backends that run specs: what their users call. What an author writes is in `runtime.engine_adapter`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from anyjob import _typing as t
from anyjob.backend import BaseBackend
from anyjob.errors import JobNotFoundError, JobRejectedError, SerializationError
from anyjob.job import JobList
from anyjob.resources import make_resources
from anyjob.runtime.engine_adapter import EngineAdapter
from anyjob.runtime.ids import require_id
from anyjob.runtime.run_keywords import take_limit, take_once, take_prerequisites, take_results
from anyjob.runtime.submission.launch import was_rejected
from anyjob.runtime.submission.submit import submit
from anyjob.serialization.pickling import with_item_number
from anyjob.specs import Call, Spec, T, as_spec
from anyjob.taskjob import TaskJob

__all__ = ["TaskBackend"]

Run = TypeVar("Run", bound=Callable[..., Any])


def _of_one_spec(run: Run) -> Run:
    """Have a ``run`` of specs take a function with its arguments, too."""

    @functools.wraps(run)
    def checked(self: Any, /, spec: Any, *args: Any, **resources: Any) -> Any:
        return run(self, as_spec(spec, args, resources), **resources)

    return cast(Run, checked)


class TaskBackend(EngineAdapter):
    """A backend that runs specs through a few methods, each of which is about many jobs at once.

    A subclass brings ``launch``, ``observe`` and ``terminate``, names what it ``accepts``, and
    declares its ``Options`` (a msgspec struct) and its ``capabilities``. The core owns ids, waiting,
    retries of a failed poll, hooks and errors; the subclass only its engine's words.
    """

    @overload
    def run(self, spec: Spec[T], **resources: Any) -> TaskJob[T]: ...
    @overload
    def run(self, spec: Callable[..., T], *args: Any, **resources: Any) -> TaskJob[T]: ...
    @overload
    def run(self, spec: str, *args: Any, **resources: Any) -> TaskJob[Any]: ...
    @_of_one_spec
    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob[Any]:
        """Hand over one piece of work.

        Args:
            spec: what to run; or a function (``"module:function"`` will do): a `Call` is made of it.
            args: the positional arguments of the function.
            resources: what it needs and what it is called: see `anyjob.Resources`. And what it starts after:
                ``after``, ``after_end`` and ``after_failure`` take a job, its id, a name, a future of an
                `anyjob.Executor`, or several of them, which have to succeed, to end, or to fail before. And
                ``once``, a word of yours: where the same work was submitted under it before, that job is
                returned, if it is done or may be yet. If it has failed or was cancelled, the work is run
                anew, and the new job supersedes it. It is the same if the function's name and code are (those
                of its module that it names among it), or the program and its arguments, and all that these
                are given, files by their content; and ``version``, a text for what that does not tell.
                ``cache="7d"`` has what was done longer ago done anew. And ``limit``: how many jobs of its
                ``name`` may run at a time, from now on.

        Raises:
            SpecError: the work, or what it needs, makes no sense.
            JobNotFoundError: it is to start after a job that is not known.
            UnsupportedSpecError: this backend cannot run work of this kind.
            SerializationError: something in the work cannot be pickled.
            Refused: a plugin would not let it through.
            JobRejectedError: the engine would not take it.
            BackendUnavailableError: the engine cannot be reached.
        """
        once = take_once(resources)
        take_limit(self, resources)
        specs, after = take_results(self, [spec], take_prerequisites(self, resources, 1))
        made = make_resources(resources)
        if once is None:
            (job,) = submit(self, specs, made, raise_refusal=True, after=after)
        else:
            (job,) = once.run(self, specs, [made], after=after, raise_refusal=True).jobs
        if was_rejected(job._record):
            why = job._record.outcome and job._record.outcome.message
            raise JobRejectedError(f"backend {self.name()!r} would not take the job: {why}")
        return job

    def run_many(self, specs: Iterable[Spec[T]], **resources: Any) -> list[TaskJob[T]]:
        """Hand over many pieces of work at once; returns their jobs in order.

        One that is refused or rejected comes back as a job in ERROR with reason ``rejected``. Work
        that makes no sense, or cannot be pickled, raises as `run` does, and nothing is submitted; the
        error says which item it was, counted from 0.

        Args:
            specs: what to run.
            resources: as those of `run`; each may also be a list with a value for each item, or a function
                of the item's index: ``name=lambda index: f"fit-{index}"``. Where an engine takes only
                jobs alike at once, as batch schedulers do, it is given one group after the other; there,
                names and tags make no groups. What all
                items start after may be a list as in `run`; for each item its own is given by a function:
                ``after=lambda index: fits[index]``.
        """
        from anyjob.runtime import item_resources

        specs = list(specs)
        once = take_once(resources)
        take_limit(self, resources)
        specs, after = take_results(self, specs, take_prerequisites(self, resources, len(specs)))
        try:
            if once is not None:
                each = item_resources.of_each(resources, len(specs))
                return JobList(once.run(self, specs, each, after=after).jobs)
            made = (
                item_resources.of_each(resources, len(specs))
                if item_resources.differ(resources)
                else make_resources(resources)
            )
            return JobList(submit(self, specs, made, after=after))
        except SerializationError as error:
            raise with_item_number(error, specs) from error.__cause__

    @overload
    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], progress: bool = False, **resources: Any
    ) -> list[TaskJob[T]]: ...
    @overload
    def map(
        self, fn: str, *iterables: Iterable[Any], progress: bool = False, **resources: Any
    ) -> list[TaskJob[Any]]: ...
    def map(
        self,
        fn: Callable[..., Any] | str,
        *iterables: Iterable[Any],
        progress: bool = False,
        **resources: Any,
    ) -> list[TaskJob[Any]]:
        """Call ``fn`` with each item, as the builtin ``map`` does; returns the jobs in order.

        Resources may differ from item to item, as in `run_many`. With ``once``, a ``map`` that was
        interrupted is called again as it was: it returns the handles of all, and submits what is missing.
        With ``progress`` it waits until all have ended, and shows meanwhile how far they are, as
        `anyjob.wait` does.
        """
        from anyjob.process.collector import collector_at_rest

        given = list(zip(*iterables, strict=False))
        with collector_at_rest(len(given), durable=self.capabilities.durable):
            jobs = self.run_many([Call(fn, arguments) for arguments in given], **resources)
        if progress:
            from anyjob.tracking.waits.blocking import wait

            wait(jobs, progress=True)
        return jobs

    def cancel_many(self, jobs: Iterable[TaskJob], *, downstream: bool = True) -> list[bool]:
        """Cancel jobs by one call to the engine; says for each whether that was accepted.

        One of which the engine has not said whether it has taken it is looked for there first.

        Args:
            jobs: the jobs.
            downstream: as `TaskJob.cancel` has it.

        Raises:
            JobError: a job is not of this backend.
        """
        from anyjob.runtime import job_control

        return job_control.cancel_many(self, list(jobs), downstream=downstream)

    def control_many(self, action: str, jobs: Iterable[TaskJob], value: int | None = None) -> list[bool]:
        """Do as `control` to jobs, by one call; says for each whether that was done.

        Raises:
            UnsupportedSpecError: the backend cannot do it.
        """
        from anyjob.runtime import job_control

        return job_control.control_many(self, action, list(jobs), value)

    def jobs(self) -> list[TaskJob]:
        """Return handles on the jobs that are known in this process, oldest first."""
        records = sorted(self._tracker.records(), key=lambda record: record.submitted)
        return [self._tracker.handle(record) for record in records]

    def retrieve_job(self, job_id: str) -> TaskJob:
        """Return a handle on the job of this id.

        Raises:
            JobNotFoundError: there is none.
            SpecError: it is no text.
        """
        require_id(job_id, "its id")
        job: TaskJob | None = self._tracker.job(job_id)
        if job is None and self.capabilities.durable:
            from anyjob.runtime.recording.ledger_recorder import LedgerRecorder

            assert isinstance(self.recorder, LedgerRecorder)
            row = self.recorder.row(job_id)
            job = None if row is None else self.recall(row)
        if job is None:
            if self.capabilities.durable:
                raise JobNotFoundError(
                    f"backend {self.name()!r} was given no job {job_id!r} by us: attach({job_id!r}) makes "
                    "one of ours that was submitted elsewhere"
                )
            raise JobNotFoundError(f"backend {self.name()!r} has no job {job_id!r} in this process")
        return job

    def native_spec(self, job_id: str) -> Spec:
        """Return the work that the engine was handed for a job: its spec, or what that was rewritten as.

        It is for backends that understand what their engine gives only by what it was asked.

        Raises:
            JobNotFoundError: there is no such job.
            JobError: anyjob did not submit it.
        """
        found: Spec = self.retrieve_job(job_id)._record.specs[-1]
        return found

    def attach(self, native_id: str, *, name: str = "", tags: Mapping[str, str] | None = None) -> TaskJob:
        """Return a handle on the job that the engine knows by this id, whoever submitted it.

        It is a job as all others from then on: on a durable backend it is in the ledger, and found again.
        What it was handed, and so its ``spec()``, is known only of jobs that anyjob submitted.

        Args:
            native_id: the engine's id of it.
            name: what it is to be called; one that is known already keeps its name and tags.
            tags: what it is to be found by.

        Raises:
            SpecError: it cannot be called so; or the id is no text.
            JobNotFoundError: the engine does not know of it.
            BackendUnavailableError: the engine cannot be reached.
        """
        from anyjob.runtime.attachment import attach

        job: TaskJob = attach(self, native_id, make_resources({"name": name, "tags": tags or {}}))
        return job

    def __getstate__(self) -> object:
        name = self.name()
        raise TypeError(
            f"backend {name!r} belongs to this process: have the work call anyjob.get_backend({name!r})"
        )

    def recall(self, row: t.Row) -> TaskJob:
        """Return a handle on a job of this backend, from what the ledger knows of it."""
        from anyjob.runtime.recording.ledger_recorder import record_of_row

        record = self._tracker.get_or_add(row.job_id, lambda: record_of_row(self, row))
        job: TaskJob = self._tracker.handle(record)
        return job


if TYPE_CHECKING:

    class AnyBackend(TaskBackend, Any):  # type: ignore[misc]
        """What `anyjob.get_backend` returns, for type checkers.

        Most likely it is a task backend, whose jobs have results of known types; but it may be of any class.
        """

        @overload
        def run(self, spec: Spec[T], **resources: Any) -> TaskJob[T]: ...
        @overload
        def run(self, spec: Callable[..., T], *args: Any, **resources: Any) -> TaskJob[T]: ...
        @overload
        def run(self, *args: Any, **kwargs: Any) -> Any: ...
        def run(self, *args: Any, **kwargs: Any) -> Any: ...
else:
    AnyBackend = BaseBackend

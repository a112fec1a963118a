"""A job of a task backend: the handle on it, and what a kind of work brings."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Generic, NoReturn

from msgspec.structs import replace

from anyjob import _typing as t
from anyjob.command_result import Output
from anyjob.errors import (
    AnyjobError,
    DependencyFailedError,
    JobError,
    JobTimeoutError,
    UnsupportedSpecError,
)
from anyjob.job import BaseJob
from anyjob.outcome import USAGE, Attempt, KeptByBackend, Outcome
from anyjob.process.plugin_thread import PluginThread
from anyjob.references import OutputPath, ResultOf
from anyjob.specs import Spec, T_co, kind_of
from anyjob.spool.outcomes import failure_of, load_value
from anyjob.status import JobStatus
from anyjob.text.seconds import timeout_of
from anyjob.tracking.records import FinalCallback, JobRecord
from anyjob.tracking.threads.notifying_threads import check_may_wait

STDERR_SHOWN = 4000
"""Characters of the end of stderr that an error message holds."""
WORK_SHOWN = 60
"""Characters of what the work is that the ``repr`` of a handle holds."""
ASKING = 2.0
"""Seconds past a timeout within which an engine may say where a job is that has not ended."""


class TaskJob(BaseJob, Generic[T_co]):
    """A job of a task backend; also what a kind of work is, where a plugin registers a subclass.

    A kind of work brings ``spec_type``, and then either backends accept it natively, or it says what
    it can be rewritten as::

        class NotebookJob(TaskJob[NotebookResult]):
            spec_type = Notebook
            lowers_to = ("python",)

            @classmethod
            def lower(cls, spec, to):
                return Call(execute, args=(spec.path, spec.parameters))

            @classmethod
            def lift(cls, spec, to, value):
                return NotebookResult(value)

    In brackets is the type of its results, for type checkers. Handles are made by the backend's ``run``. They
    compare by id.
    """

    spec_type: ClassVar[type[Spec]]
    lowers_to: ClassVar[tuple[str, ...]] = ()
    needs_shared_files: ClassVar[tuple[str, ...]] = ()
    """Those of ``lowers_to`` that work only where the backend sees the caller's files."""
    writes: ClassVar[Mapping[str, str]] = {}
    """What `write` makes of a result, and what is in it: ``{"plot": "A drawing of it."}`` lets a user ask for
    ``--write plot=FILE`` on the command line, and for ``plot = "FILE"`` below ``[write]`` in a job file."""

    def __init__(self, backend: Any, job_id: str, record: JobRecord) -> None:
        super().__init__(backend, job_id)
        self._record = record

    # --- what a kind of work brings -----------------------------------------------------------

    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        """Rewrite a spec of this kind as one of the kind ``to``, one of ``lowers_to``."""
        raise UnsupportedSpecError(f"{cls.__name__} declares that it lowers to {to!r}, and does not")

    @classmethod
    def lift(cls, spec: Any, to: str, value: Any) -> Any:
        """Turn the result of what ``spec`` was rewritten as into a result of this kind.

        Args:
            spec: the work; None of a job that others have submitted, and that was attached to.
            to: the kind that it was rewritten as; this kind, where a backend took it as it is.
            value: the result of that; what the backend has left.
        """
        return value

    @classmethod
    def read(cls, job: TaskJob, outcome: Outcome) -> Any:
        """Read the result of a job that ran as this kind; by default, `lift` makes it of the value."""
        record = job._record
        spec = record.specs[-1] if record.is_ours else None
        return cls.lift(spec, record.native, load_value(outcome))

    @classmethod
    def describe(cls, spec: Any) -> str:
        """Return in a line what work of this kind does, for listings; by default, the fields of its spec.

        It is asked when a job is submitted. Values that may be secret do not belong into it.
        """
        from anyjob.text.brief import arguments

        given = {name: getattr(spec, name) for name in spec.__struct_fields__}
        defaults = dict(zip(reversed(given), reversed(spec.__struct_defaults__), strict=False))
        return arguments((), {key: value for key, value in given.items() if value != defaults.get(key)})

    @classmethod
    def sample(cls) -> Spec | None:
        """Return a short and harmless piece of work of this kind; None: there is none.

        ``anyjob backends check`` runs it on backends that take this kind natively.
        """
        return None

    @classmethod
    def show(cls, value: Any) -> str | None:
        """Return a result of this kind as text for a person; None: as ``print`` has it."""
        return None

    @classmethod
    def to_builtins(cls, value: Any) -> Any:
        """Return a result of this kind as plain data: what ``--json`` gives, and the columns of a job file.

        By default, dataclasses and structs are maps of their fields, NumPy's arrays lists, paths text.

        Raises:
            TypeError: it holds something that JSON has no form for.
        """
        from anyjob.serialization.builtin_values import to_builtins

        return to_builtins(value)

    @classmethod
    def write(cls, value: Any, what: str, path: str) -> None:
        """Write what ``writes`` names of a result to a path: a file, or a directory that is made for several.

        Raises:
            OSError: it cannot be written there.
            AnyjobError: it cannot be made of this result; says why.
        """
        raise UnsupportedSpecError(f"{cls.__name__} declares that it writes {what!r}, and does not")

    @classmethod
    def check_write(cls, what: str, path: str) -> None:
        """Refuse a path that `write` could not write to, before the work is run. By default, none.

        Raises:
            AnyjobError: no such file can be made, whatever the result is; says why.
        """

    # --- the handle ---------------------------------------------------------------------------

    def submit(self) -> NoReturn:
        """Handles on task jobs are made by submitting: there is nothing left to do.

        Raises:
            JobError: always.
        """
        raise JobError(
            f"job {self._job_id} was submitted when it was made; to run it again: backend.run(job.spec())"
        )

    def status(self) -> JobStatus:
        """Ask where the job is: by the backend's next bulk query, or an answer younger than its floor.

        Raises:
            InvalidStatusError: the backend said something that is no status.
            BackendUnavailableError: it cannot be reached now; it may be later.
            BackendError: it cannot tell in another way.
        """
        return self._record.tracker.ask(self._record)

    def cancel(self, downstream: bool = True) -> bool:
        """Try to cancel the job. Return whether the cancel was accepted; False for a job that has ended.

        What was to start after its success, or its failure, ends too: ERROR, with the reason ``dependency``.

        Args:
            downstream: False: that does not wait for it any more, and starts when all else has come about; a
                call that needs the result of the job ends all the same.

        Raises:
            BackendError: the backend cannot be asked to.
        """
        return bool(self._backend.cancel_many([self], downstream=downstream)[0])

    def spec(self) -> Any:
        """Return the work, as it was handed over."""
        return self._record.specs[0]

    def native_id(self) -> str | None:
        """Return the engine's own id of the job; None as long as it has given none."""
        return self._record.native_id

    def metadata(self) -> dict[str, Any]:
        """Return what is known of the job without asking: name, tags, kind, parent, times, cost, usage."""
        record = self._record
        resources = record.resources
        told = record.outcome or record
        if record.parent is None:
            record.parent = self._backend.recorder.parent(self._job_id)
        kinds = (
            [kind_of(spec) for spec in record.specs] if record.is_ours else list(filter(None, [record.kind]))
        )
        return {
            "job_id": self._job_id,
            "native_id": record.native_id,
            "backend": self._backend.name(),
            "kind": kinds[0] if kinds else "",
            "route": kinds,
            "name": resources.name,
            "tags": dict(resources.tags),
            "parent": record.parent or None,
            "status": record.status.name,
            "message": record.message,
            "queue_position": record.queue_position,
            "cost": told.cost,
            "currency": told.currency,
            "attempt": record.attempt,
            "submitted": record.submitted,
            "started": record.outcome and record.outcome.started,
            "finished": record.outcome and record.outcome.finished,
            **{name: record.outcome and getattr(record.outcome, name) for name in USAGE},
        }

    def notes(self) -> dict[str, str]:
        """Return what plugins noted of the job when it was submitted; kept as long as the job is known."""
        record = self._record
        if record.notes is None:
            record.notes = self._backend.recorder.notes(self._job_id)
        return dict(record.notes)

    def outcome(self, timeout: float | None = None) -> Outcome:
        """Wait until the job has ended, and return what came of it, failure and cancel included.

        Raises:
            JobTimeoutError: it has not ended within ``timeout`` seconds.
        """
        if self._record.outcome is None:
            self._wait(timeout)
        self._record.raise_hook_error()
        outcome = self._record.outcome
        assert outcome is not None
        return outcome

    def result(self, timeout: float | None = None) -> T_co:
        """Wait until the job has ended, and return its result: a fresh copy each time.

        Raises:
            JobTimeoutError: it has not ended within ``timeout`` seconds.
            JobCancelledError: it was cancelled.
            CommandFailedError: it is a program that ended with a non-zero exit code.
            DependencyFailedError: what it was to start after did not come about.
            JobFailedError: it failed in another way; ``reason`` says in which.
            Exception: a call raised it; from another process, the remote traceback is its cause.
        """
        outcome = self.outcome(timeout)
        error = self._failure(outcome)
        if error is not None:
            raise error
        record = self._record
        if isinstance(outcome.value, KeptByBackend):
            outcome = replace(outcome, value=self._backend.fetch_value(record.ticket(), outcome.value))
        job_type = self._backend.services.job_type
        if record.kind == record.native or not record.is_ours:
            read: T_co = type(self).read(self, outcome)
            return read
        classes = [job_type(kind_of(spec)) for spec in record.specs]
        value: T_co = classes[-1].read(self, outcome)
        for lift in lifts(classes, record.specs):
            value = lift(value)
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait until the job has ended, and return what ``result()`` would raise of its failure.

        Returns None for a job that has succeeded.

        Raises:
            JobTimeoutError: it has not ended within ``timeout`` seconds.
        """
        return self._failure(self.outcome(timeout))

    def attempts(self) -> list[Attempt]:
        """Return the attempts of the job, the first of them first; the last is as it was heard last.

        Raises:
            StateError: the ledger cannot be read.
        """
        from anyjob.outputs import job_logs

        return job_logs.attempts(self)

    def logs(self, stream: str = "stdout", follow: bool = False, attempt: int | None = None) -> Iterator[str]:
        """Yield what the work wrote, line by line, with line ends.

        Args:
            stream: ``stdout`` or ``stderr``.
            follow: go on until the job has ended; else stop at what there is now.
            attempt: which attempt of it, from 1 on; by default the last that has begun. With ``follow`` that
                one, and all after it.

        Raises:
            JobError: there is no such stream, or attempt.
        """
        from anyjob.outputs import log_reading

        return log_reading.lines(self.log_bytes(stream, follow, attempt))

    def log_bytes(
        self, stream: str = "stdout", follow: bool = False, attempt: int | None = None
    ) -> Iterator[bytes]:
        """As `logs`, in bytes, as they come."""
        from anyjob.outputs import job_logs, log_reading

        log_reading.check_stream(stream)
        return log_reading.chunks(
            job_logs.reader(self, stream, follow, attempt),
            lambda: not follow or self.in_final_state(),
            self._pause,
        )

    def output(self, name: str | os.PathLike[str]) -> str:
        """Return the path of a file that the job leaves; what it is part of starts after the job.

        Give it as one of the ``files`` of a `Command`, or anywhere in its ``argv`` and ``env``; or in the
        arguments of a `Call`. Elsewhere it is text as any other.

        Args:
            name: a relative one begins where the job runs; one that begins with ``$ANYJOB_SPOOL/`` is in the
                job's own directory.

        Raises:
            JobError: the job leaves its files where they are not seen from here; `fetch` brings them.
        """
        from anyjob.outputs.left_files import place

        backend = self._backend
        if not backend.capabilities.shared_files:
            raise JobError(
                f"what job {self._job_id} leaves is not seen from here, since backend {backend.name()!r} "
                "shares no files with this program: wait for it; then "
                f"job.fetch({os.fspath(name)!r}) brings the file"
            )
        return OutputPath(place(self, name), self._job_id, self._record.name, self)

    def fetch(
        self, *names: str | os.PathLike[str], into: str | os.PathLike[str] = ".", overwrite: bool = False
    ) -> list[t.Path]:
        """Bring files that the job has left, from whatever machine; return where they are now.

        Args:
            names: as `output` has them; a relative one that is not where the job ran is sought in its own
                directory. By default, all files that it has left there.
            into: the directory that they are brought to, each by its name.
            overwrite: write over what is there.

        Raises:
            JobError: one is not there, or something is that is not to be overwritten.
        """
        from anyjob.outputs.left_files import fetch

        return fetch(self, names, into, overwrite=overwrite)

    def _pause(self, seconds: float) -> None:
        """Sleep, at most until the job has ended."""
        check_may_wait(self)
        alarm = threading.Event()
        release = self._on_change(alarm.set)
        try:
            if self._record.outcome is None:
                alarm.wait(seconds)
        finally:
            release()

    def _ask_within(self, seconds: float) -> None:
        """Ask where the job is; where its engine does not answer, what was heard last holds."""

        def ask() -> None:
            with suppress(Exception):  # of a plugin: the wait has timed out, and says so
                self.status()

        asking = PluginThread(ask, "anyjob-ask")
        asking.start()
        asking.join(seconds)

    def _wait(self, timeout: float | None) -> None:
        """Wait for the watcher to say that the job has ended."""
        timeout = timeout_of(timeout)
        told: list[JobStatus | BaseException] = []
        ended = threading.Event()

        def tell(what: JobStatus | BaseException) -> None:
            told.append(what)
            ended.set()

        if timeout is not None and timeout <= 0 and self.in_final_state():
            return  # to be asked once does not need a watcher
        check_may_wait(self)
        forget = self._on_final(tell)
        try:
            if not ended.wait(timeout):
                self._ask_within(ASKING)
                if self._record.outcome is None:
                    raise JobTimeoutError(
                        f"job {self._job_id} has not ended within {timeout:g} s "
                        f"(still {self._record.status_in_words()})"
                    )
                return
        finally:
            forget()
        if isinstance(told[0], BaseException):
            raise told[0]

    def _failure(self, outcome: Outcome) -> BaseException | None:
        error = failure_of(self._job_id, outcome, self._end_of_stderr)
        if isinstance(error, DependencyFailedError) and not error.prerequisite:
            with suppress(AnyjobError):  # the message has told what is to be known
                behind, services = self._record.behind, self._backend.services
                error.prerequisite, error.__cause__ = (
                    behind.failure_behind(self._job_id)
                    if behind is not None
                    else services.failure_behind(self._job_id, self._backend)
                )
        return error

    def _end_of_stderr(self) -> str:
        return Output(self, "stderr", self._record.spool).tail(STDERR_SHOWN)

    def _status_heard(self, status: JobStatus, wait: float) -> None:
        """The tracker of the backend has heard it already."""

    def _on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._record.tracker.on_change(self._record, callback)

    def _on_final(self, callback: FinalCallback) -> Callable[[], None]:
        return self._record.tracker.on_final(self._record, callback)

    def _call_at_end(self, callback: FinalCallback) -> None:
        if self._backend.has_threads_to_spare:
            self._on_final(callback)
        else:
            super()._call_at_end(callback)

    def _teller(self) -> object:
        return None if self._record.outcome is not None else self._record.tracker

    def __await__(self) -> Generator[Any, None, T_co]:
        """``await job`` waits without blocking the event loop, and gives the result."""
        from anyjob.tracking.threads.offload import after_final

        return after_final(self, self.result).__await__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskJob) and other._job_id == self._job_id

    def __hash__(self) -> int:
        return hash(self._job_id)

    def __reduce__(self) -> Any:
        found: Any = self._backend.services.pickled(self)
        return found

    def __repr__(self) -> str:
        name = f", name={self._record.name!r}" if self._record.name else ""
        from anyjob.text.printable import shortened

        what = shortened(self._work(), WORK_SHOWN)
        told = ", ".join(filter(None, [self._record.status_in_words(), what]))
        return f"<{type(self).__name__}({self._job_id!r}{name}, {told}) on {self._backend!s}>"

    def _reference(self) -> ResultOf:
        return ResultOf(self._job_id, self._record.name, self)

    def _fields(self) -> dict[str, Any]:
        from anyjob.text.amounts import age, span

        record, outcome = self._record, self._record.outcome
        took = None
        if outcome is not None and outcome.started is not None and outcome.finished is not None:
            took = max(0.0, outcome.finished - outcome.started)
        return {
            "job": self._job_id,
            "name": record.name,
            "backend": str(self._backend),
            "state": record.status.name,
            "reason": outcome.reason if outcome is not None else "",
            "message": outcome.message if outcome is not None else record.message,
            "submitted": f"{age(record.submitted)} ago",
            "took": span(took) if took is not None else "",
            "work": self._work(),
        }

    def _work(self) -> str:
        """Return in a line what the work is; of a job found again, as it was written down."""
        record = self._record
        if record.is_loaded:
            from anyjob.text.brief import in_a_line

            return in_a_line(type(self).describe, record.specs[0])
        with suppress(Exception):  # a repr is asked for where other things have gone wrong, too
            return str(self._backend.recorder.work(self._job_id))
        return ""


def lifts(classes: Sequence[type[TaskJob]], specs: Sequence[Spec]) -> Iterator[Callable[[Any], Any]]:
    """Yield what makes the result of work of that of the last that it was rewritten as, one after the other.

    Args:
        classes: the kinds of work that it was, from its own on.
        specs: the work, as each of these.
    """
    for step in range(len(classes) - 2, -1, -1):
        yield functools.partial(classes[step].lift, specs[step], kind_of(specs[step + 1]))

"""Short, harmless jobs that show whether a backend works, and whether it keeps what backends promise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from anyjob.batch.backend import BatchBackend
from anyjob.cli.backends.host_limits import notices
from anyjob.cli.run.interrupts import Interrupts
from anyjob.errors import AnyjobError, JobTimeoutError, UnsupportedSpecError
from anyjob.runtime.lowering import find_route
from anyjob.session.facade import Session
from anyjob.session.pruning import forget
from anyjob.taskbackend import TaskBackend
from anyjob.testing.commands.listing_check import wrong_with_listing
from anyjob.testing.environment.foreign_hooks import leave_out_hooks_foreign_to
from anyjob.testing.harness.samples import CALL, COMMAND, Samples, samples_of_kinds
from anyjob.testing.live import NAME, TAG, CheckResult, LiveRun

WORD = "anyjob-was-here"


class BackendCheck:
    """Checks one backend: whether it works at all, and then whether it keeps what backends promise.

    Args:
        session: where it is configured.
        name: the backend.
        timeout: seconds for each job.
        limit: seconds after which no further promise is looked at; 0 looks at none.
        report: is given each line as soon as it is known.
        hooks: call the hooks of distributions that do not bring the backend, too.

    Attributes:
        checks: the lines of the first part.
        promises: those of the second: what `anyjob.testing.live.CheckResult` has.
        interrupted: the signal that ended it early, if any.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        timeout: float,
        limit: float,
        report: Callable[[dict[str, Any]], None],
        *,
        hooks: bool = False,
    ) -> None:
        self._session, self._name, self._timeout, self._limit = session, name, timeout, limit
        self._report = report
        self._hooks = hooks
        self._submitted: list[Any] = []
        self._run: LiveRun | None = None
        self.checks: list[dict[str, Any]] = []
        self.promises: list[dict[str, Any]] = []
        self.interrupted: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing has failed so far."""
        return all(each["state"] != "failed" for each in [*self.checks, *self.promises])

    def run(self) -> None:
        """Do it; a signal cancels what is submitted, and leaves out the rest."""
        with Interrupts(self._open_jobs, self._session.cancel, kill=False) as interrupts:
            basic = _basic_checks(self._session, self._name, self._timeout, self._submitted)
            for line in chain(self._foreign_hooks(), basic):
                self.checks.append(line)
                self._report(line)
                if interrupts.signal is not None:
                    break
            if self.ok and self._limit and interrupts.signal is None:
                for each in self._check_promises(lambda: interrupts.signal is not None):
                    self.promises.append({**each._asdict(), "jobs": list(each.jobs)})
                    self._report(self.promises[-1])
            self.interrupted = interrupts.signal
        if self.ok:
            self._forget()

    def _foreign_hooks(self) -> Iterator[dict[str, str]]:
        """Leave out the hooks of others, and say so where there are any."""
        left_out = [] if self._hooks else leave_out_hooks_foreign_to(self._session, self._name)
        if left_out:
            yield _line("hooks", "notice", f"those of {', '.join(left_out)} are left out: see --hooks")

    def _open_jobs(self) -> list[Any]:
        return [*self._submitted, *(self._run.open_jobs() if self._run is not None else [])]

    def _check_promises(self, stopped: Callable[[], bool]) -> Iterator[CheckResult]:
        self._run = LiveRun(
            self._session, self._name, timeout=self._timeout, limit=self._limit, stopped=stopped
        )
        return self._run.results()

    def _forget(self) -> None:
        """Take the first jobs out of the ledger again, where they are in one."""
        for job in self._submitted:
            if job.backend().capabilities.durable:
                forget(job.backend().services.ledger, [job.job_id()])


def _basic_checks(
    session: Session, name: str, timeout: float, submitted: list[Any]
) -> Iterator[dict[str, str]]:
    """Make a backend and run one piece of work of each kind; never raises for what is wrong with it.

    Args:
        session: where it is configured.
        name: the backend.
        timeout: seconds for each job.
        submitted: where to put each job as soon as it is submitted.

    Yields:
        for each check what was checked, its state (``ok``, ``notice``, ``failed``, ``skipped``), and words.
    """
    try:
        backend = session.get_backend(name)
        status = backend.status()
    except Exception as error:  # of a plugin that is checked: it is a line of the report
        yield _line("configuration", "failed", _describe_error(error))
        return
    version = f", version {backend.version()}" if backend.version() else ""
    yield _line("configuration", "ok", f"{type(backend).__name__}{version}")
    if not getattr(status, "operational", True):
        yield _line("status", "failed", str(getattr(status, "status_msg", "")) or "not operational")
    if not isinstance(backend, TaskBackend):
        yield _line("jobs", "skipped", f"{type(backend).__name__} takes work of its own kind only")
        return
    if backend.queues_in_ledger:
        for notice in notices(backend.services.ledger.state):
            yield _line("host", "notice", notice)
    if hasattr(backend, "find_memory_limit"):
        yield _line("memory", "ok", backend.find_memory_limit()["words"])
    yield from _run_samples(backend, session, timeout, submitted)


def _run_samples(
    backend: TaskBackend, session: Session, timeout: float, submitted: list[Any]
) -> Iterator[dict[str, str]]:
    """Run one piece of work of each kind that there is a sample of."""
    samples = []
    for basic in (COMMAND, CALL):
        try:
            shared = backend.capabilities.shared_files
            find_route(basic.kind, backend.accepts, session.registry.job_type, shared_files=shared)
            samples.append(basic)
        except UnsupportedSpecError as error:
            yield _line(basic.kind, "skipped", str(error))
    try:
        samples += samples_of_kinds(backend)
    except Exception as error:  # of somebody's kind of work
        yield _line("jobs", "failed", _describe_error(error))
        return
    if not samples:
        kinds = ", ".join(sorted(backend.accepts))
        yield _line(
            "jobs", "skipped", f"it accepts {kinds}, of which there is no sample: run one of your own"
        )
    hangs, works = False, bool(samples)
    for sample in samples:
        if hangs:
            yield _line(sample.kind, "skipped", "the job before it has not ended in time: mend that first")
            continue
        started = time.monotonic()
        line = _run(backend, sample, timeout, submitted)
        hangs = line["state"] == "failed" and time.monotonic() - started >= timeout
        works = works and line["state"] == "ok"
        yield line
    if works and isinstance(backend, BatchBackend):
        wrong = wrong_with_listing(backend, timeout, submitted)
        yield _line("listing", "failed" if wrong else "ok", wrong or "it has what runs")


def _run(backend: Any, sample: Samples, timeout: float, submitted: list[Any]) -> dict[str, str]:
    started = time.monotonic()
    received = WORD
    try:
        job = backend.run(
            sample.succeeds if sample.echo is None else sample.echo(WORD), name=NAME, tags={TAG: "first"}
        )
        submitted.append(job)
        try:
            value = job.result(timeout)
        except JobTimeoutError:
            return _line(sample.kind, "failed", _cancel_overdue(job, timeout))
        if sample.echo is not None and (sample.kind != "command" or backend.capabilities.logs):
            received = sample.echoed(value)
    except Exception as error:  # of a plugin that is checked: it is a line of the report
        return _line(sample.kind, "failed", _describe_error(error))
    if received != WORD:
        return _line(sample.kind, "failed", f"{WORD!r} came back as {received[:200]!r}")
    return _line(sample.kind, "ok", f"in {time.monotonic() - started:.2f} s")


def _cancel_overdue(job: Any, timeout: float) -> str:
    """Cancel a job that has not ended in time; say where it is, and why its engine does not tell more."""
    message = f"still {job.metadata()['status']} after {timeout:g} s"
    try:
        job.status()
    except AnyjobError as error:
        message += f": {error}"
    try:
        was_cancelled = job.cancel()
    except AnyjobError:
        was_cancelled = False
    return f"{message}; it {'was' if was_cancelled else 'could not be'} cancelled"


def _describe_error(error: BaseException) -> str:
    return str(error) if isinstance(error, AnyjobError) else f"{type(error).__name__}: {error}"


def _line(check: str, state: str, message: str) -> dict[str, str]:
    return {"check": check, "state": state, "message": message}

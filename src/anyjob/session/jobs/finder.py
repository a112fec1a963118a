"""Finds jobs again, in the ledger and in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob import _typing as t
from anyjob.errors import BackendError, JobNotFoundError
from anyjob.ledger.reading.designation import KnownJob, meant, probably_meant
from anyjob.ledger.reading.queries import encodings
from anyjob.ledger.rows import Row
from anyjob.ledger.store import Ledger
from anyjob.runtime.ids import require_id
from anyjob.session.backends.ledger_backends import LedgerBackends, names_of
from anyjob.session.backends.missing_backends import DeferredBackend
from anyjob.session.backends.plain_backend import PlainRun
from anyjob.session.backends.plain_job import KIND, LedgerEntry
from anyjob.session.jobs.failures import Failures
from anyjob.session.jobs.filters import JobFilters, read_filters
from anyjob.status import JOB_FINAL_STATES
from anyjob.taskbackend import TaskBackend
from anyjob.text.printable import shortened

LONGEST = 300
"""Characters of what was looked for that an error has of it; a name has 255 at most."""


class JobFinder:
    """The jobs of a session: those of its ledger, and those that only this process knows."""

    def __init__(self, session: t.Session) -> None:
        self._session = session
        self._backends = LedgerBackends(session)

    @property
    def _ledger(self) -> Ledger:
        ledger: Ledger = self._session.ledger
        return ledger

    def by_id(self, job_id: str) -> Any:
        """Return a handle on the job of this id, ours or its engine's, of this name, or whose id begins so.

        Raises:
            JobNotFoundError: there is none, or several.
            SpecError: it is no text.
        """
        require_id(job_id, "its id, the beginning of that, or its name")
        here = self._by_our_id()
        if job_id in here:
            return here[job_id]
        superseded = _superseded(here.values())
        known = [
            KnownJob(ours, job.job_id(), "" if ours in superseded else _name_here(job))
            for ours, job in here.items()
        ]
        found = meant(self._ledger, job_id, known=known)
        if not found:
            near = probably_meant(self._ledger, job_id)
            raise JobNotFoundError(
                f"no job {shortened(job_id, LONGEST)!r} is in the ledger {self._ledger.path}, or known to "
                "this process; one that the backend itself finds again needs get_job(id, backend=…)"
                + (f"; did you mean {near!r}?" if near else "")
            )
        if len(found) > 1:
            some = ", ".join(found[:5]) + ("…" if len(found) > 5 else "")
            named = any(row.name == job_id for row in self._ledger.rows(found).values())
            raise JobNotFoundError(
                f"job id {job_id!r} fits several jobs ({some}): give more of it, or one of these"
                + (f"; jobs(name={job_id!r}) gives all that are called so" if named else "")
            )
        (ours,) = found
        return here[ours] if ours in here else self._handle(self._ledger.rows([ours])[ours])

    def by_ids(self, job_ids: Sequence[str]) -> dict[str, Any]:
        """Return handles on the jobs of the ledger of these ids of ours, by id; others are left out."""
        here = self._by_our_id()
        rows = self._ledger.rows(job_ids)
        return {job_id: here[job_id] if job_id in here else self._handle(row) for job_id, row in rows.items()}

    def select(
        self,
        name: str | None = None,
        state: Any = None,
        backend: str | None = None,
        tags: Mapping[str, str] | None = None,
        since: Any = None,
        limit: int | None = None,
        superseded: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        """Return handles on the jobs that fit, oldest first: see `anyjob.jobs`."""
        wanted = read_filters(name, state, backend, tags, since, limit, parameters)
        rows: list[Row] = []
        numbers = None if wanted.backend is None else self._backends.numbers(wanted.backend)
        if self._ledger.exists:
            rows = self._ledger.select(
                name=wanted.name,
                states=wanted.states,
                backends=numbers,
                tags=wanted.tags,
                parameters=wanted.parameters,
                since=wanted.since,
                limit=wanted.limit,
                superseded=superseded,
            )
        here = self._by_our_id()
        gone = set() if superseded else _superseded(here.values())
        failures = Failures("left out")
        found = self._handles(rows, here, failures)
        of_ledger = {row.job_id for row in rows}
        for job_id, job in here.items():
            if job_id in of_ledger or _is_in_ledger(job) or job.job_id() in gone:
                continue
            called = job.backend().name()
            if failures.attempt(called, called, _fits, job, wanted):
                found.append(job)
        failures.report()
        return found if wanted.limit is None else found[max(0, len(found) - wanted.limit) :]

    def refresh(self, rows: Iterable[Row]) -> None:
        """Have backends asked about these jobs, each about its own; what they say is in the ledger then.

        What keeps one from being asked is reported.
        """
        here = self._by_our_id()
        of_backend: dict[int, list[Row]] = {}
        for row in rows:
            of_backend.setdefault(row.backend, []).append(row)
        failures = Failures("not up to date")
        for number, some in of_backend.items():
            label = some[0].label
            if failures.attempt(number, label, self._keep_queue, some[0]):
                continue  # what there is to know is in the ledger
            # Handles first, questions second: the first question is about all of them.
            for job in self._handles(some, here, failures):
                failures.attempt(number, label, job._ask_status)
        failures.report()

    def _keep_queue(self, row: Row) -> bool:
        """See to it that somebody keeps a backend's queue, where that is in the ledger; return whether it is.

        Who begins to keep it, after a reboot say, looks first at what has become of its jobs.
        """
        backend = self._backends.of(row)
        if not getattr(backend, "queues_in_ledger", False):
            return False
        for _ in backend.launch([]):
            pass
        return True

    def _handles(self, rows: Iterable[Row], here: Mapping[str, Any], failures: Failures) -> list[Any]:
        """Return handles on the jobs of these rows, less those that cannot be had."""
        found = []
        for row in rows:
            job = here.get(row.job_id)
            if job is None:
                job = failures.attempt(row.backend, row.label, self._handle, row)
            if job is not None:
                found.append(job)
        return found

    def _by_our_id(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for backend in self._session.made():
            if isinstance(backend, TaskBackend):
                found.update((job.job_id(), job) for job in backend.jobs())
            elif (plain := PlainRun.of(backend)) is not None:
                found.update(plain.jobs())
        return found

    # --- handles ------------------------------------------------------------------------------

    def _handle(self, row: Row) -> Any:
        backend = self._backends.of(row)
        if row.kind == KIND:
            plain = PlainRun.of(backend.real() if isinstance(backend, DeferredBackend) else backend)
            if plain is None:
                raise BackendError(f"backend {backend.name()!r} finds no jobs again by itself") from getattr(
                    backend, "why", None
                )
            return plain.recall(row)
        job = backend.recall(row)
        if self._session.services.watches:
            self._catch_up(backend, job, row)
        return job

    def _catch_up(self, backend: TaskBackend, job: Any, row: Row) -> None:
        """Have the hooks told of what is to come, or of an end that nobody was told of."""
        if job._record.outcome is None:
            with suppress(BackendError):  # whoever waits for the job will hear of it
                backend._tracker.watch(job._record)
        elif not row.told:
            self._session.services.finished(backend, job._record, job._record.outcome)


def _superseded(jobs: Iterable[Any]) -> set[str | None]:
    """Return the ids of the jobs that one of these runs anew."""
    return {job._record.rerun_of for job in jobs if hasattr(job, "_record")}


def _name_here(job: Any) -> str:
    """Return the name of a job that the ledger does not have; of its own, it knows which name counts."""
    record = getattr(job, "_record", None)
    if record is None or _is_in_ledger(job):
        return ""
    name: str = record.resources.name
    return name


def _is_in_ledger(job: Any) -> bool:
    record = getattr(job, "_record", None)
    if record is None:
        return isinstance(job._status_observer, LedgerEntry) and job._status_observer.entered
    return bool(job.backend().capabilities.durable)


def _fits(job: Any, wanted: JobFilters) -> bool:
    record = getattr(job, "_record", None)
    if wanted.backend is not None and wanted.backend not in names_of(job.backend()):
        return False
    states = wanted.states
    if record is None:  # a plain job has neither name nor tags, and is asked
        if wanted.name is not None or wanted.tags or wanted.parameters or wanted.since is not None:
            return False
        return states is None or job._ask_status() in states
    if (
        states is not None
        and (record.status if record.status in JOB_FINAL_STATES else job.status()) not in states
    ):
        return False
    resources = record.resources
    return (
        (wanted.name is None or resources.name == wanted.name)
        and all(resources.tags.get(key) == value for key, value in wanted.tags.items())
        and all(_has(record.parameters, *wanted_one) for wanted_one in wanted.parameters.items())
        and (wanted.since is None or record.submitted >= wanted.since)
    )


def _has(parameters: Mapping[str, Any], name: str, value: Any) -> bool:
    import json

    return name in parameters and json.dumps(parameters[name], default=str) in encodings(value)

"""Finds jobs again, in the ledger and in this process, and runs them anew."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from anyjob.errors import AnyjobError, BackendError, JobError, JobNotFoundError, PluginError
from anyjob.execution import spool
from anyjob.ledger.identity import HOST
from anyjob.ledger.store import Ledger, Row, encode_resources
from anyjob.runtime.ledger_recorder import LedgerRecorder
from anyjob.session.plain_backend import Plain
from anyjob.session.plain_job import KIND, Entry
from anyjob.specs import Resources
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status
from anyjob.taskbackend import TaskBackend
from anyjob.text.units import parse_duration

if TYPE_CHECKING:
    from anyjob.ledger.store import BackendRow
    from anyjob.session.protocol import SessionProtocol

FORGOTTEN_AT_ONCE = 1000
"""Jobs that are forgotten in one transaction, so that others can write in between."""
OLD_ENVIRONMENT = 3600.0
"""Seconds after which an environment file that no open job needs was left behind by a crash."""


class JobFinder:
    """The jobs of a session: those of its ledger, and those that only this process knows."""

    def __init__(self, session: SessionProtocol) -> None:
        self._session = session
        self._backends: dict[int, Any] = {}

    @property
    def _ledger(self) -> Ledger:
        ledger: Ledger = self._session.services.ledger
        return ledger

    def by_id(self, job_id: str) -> Any:
        """Return a handle on the job of this id, ours or its engine's, or of the one id that begins so.

        Raises:
            JobNotFoundError: there is none, or several.
        """
        here = self._by_our_id()
        found = {
            ours
            for ours, job in here.items()
            if job_id and (ours.startswith(job_id) or job.job_id().startswith(job_id))
        }
        exact = {ours for ours in found if job_id in (ours, here[ours].job_id())}
        if job_id and self._ledger.exists:
            if not job_id.strip("0123456789abcdef"):
                found.update(self._ledger.by_prefix(job_id))
            exact.update(self._ledger.with_native_id(job_id))
        if job_id in found:
            exact = {job_id}
        found = exact or found
        if not found:
            raise JobNotFoundError(
                f"no job {job_id!r} is in the ledger {self._ledger.path}, or known to this process; one that "
                "the backend itself finds again needs get_job(id, backend=…)"
            )
        if len(found) > 1:
            some = ", ".join(sorted(found)[:5]) + ("…" if len(found) > 5 else "")
            raise JobNotFoundError(
                f"job id {job_id!r} fits several jobs ({some}): give more of it, or one of these"
            )
        (ours,) = found
        return here[ours] if ours in here else self._handle(self._ledger.rows([ours])[ours])

    def select(
        self,
        name: str | None = None,
        state: Any = None,
        backend: str | None = None,
        tags: Mapping[str, str] | None = None,
        since: Any = None,
        limit: int | None = None,
    ) -> list[Any]:
        """Return handles on the jobs that fit, oldest first: see `anyjob.jobs`."""
        states = as_states(state)
        start = as_time(since)
        rows: list[Row] = []
        if self._ledger.exists:
            rows = self._ledger.select(
                name=name, states=states, backend=backend, tags=tags, since=start, limit=limit
            )
        here = self._by_our_id()
        found = []
        for row in rows:
            known = here.pop(row.job_id, None)
            with _reported(row):
                found.append(self._handle(row) if known is None else known)
        found += [
            job
            for job in here.values()
            if not _is_in_ledger(job) and _fits(job, name, states, backend, tags, start)
        ]
        return found[max(0, len(found) - limit) :] if limit is not None else found

    def here(self) -> list[Any]:
        """Return handles on the jobs that this process knows without the ledger."""
        return list(self._by_our_id().values())

    def _by_our_id(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for backend in self._session.made():
            if isinstance(backend, TaskBackend):
                found.update((job.job_id(), job) for job in backend.jobs())
            elif (plain := Plain.of(backend)) is not None:
                found.update(plain.jobs())
        return found

    def rerun(self, jobs: Iterable[Any], resources: Mapping[str, Any]) -> list[Any]:
        """Hand over anew what jobs were handed; see `anyjob.rerun`."""
        jobs = list(jobs)
        groups: dict[Any, list[int]] = {}
        for place, job in enumerate(jobs):
            if not hasattr(job, "spec"):
                raise JobError(
                    f"{job!r} is a plain job: what it was handed is not known, so it cannot be run anew"
                )
            asked = encode_resources(job._record.resources)
            groups.setdefault((id(job.backend()), asked), []).append(place)
        made: dict[int, Any] = {}
        for places in groups.values():
            first = jobs[places[0]]
            old = first._record.resources
            same = {field: getattr(old, field) for field in Resources.__struct_fields__}
            specs = [jobs[place].spec() for place in places]
            again = self._of_this_host(first.backend()).run_many(specs, **{**same, **resources})
            made.update(zip(places, again, strict=True))
        return [made[place] for place in range(len(jobs))]

    def _of_this_host(self, backend: Any) -> Any:
        if not backend.other_host:
            return backend
        configured = backend.name() in self._session.config.backends
        return self._session.get_backend(backend.name() if configured else backend.type_name)

    # --- forgetting ---------------------------------------------------------------------------

    def prune(self, older_than: Any) -> list[str]:
        """Forget jobs that ended longer ago than this, with their spools; return their ids."""
        before = time.time() - parse_duration(older_than, what="older_than", allow_zero=True)
        forgotten: list[str] = []
        if not self._ledger.exists:
            return forgotten
        after = 0
        while ended := self._ledger.ended_before(before, after, FORGOTTEN_AT_ONCE):
            after = ended[-1][0]
            job_ids = [job_id for _, job_id in ended]
            forget(self._ledger, job_ids)
            forgotten += job_ids
        self._sweep_environments()
        return forgotten

    def _sweep_environments(self) -> None:
        """Remove the environment files that a crash left behind, which no open job needs."""
        directory = self._ledger.state / "env"
        if not directory.is_dir():
            return
        old = time.time() - OLD_ENVIRONMENT
        left = {
            entry.path for entry in os.scandir(directory) if entry.stat(follow_symlinks=False).st_mtime < old
        }
        for path in left - self._ledger.open_environments() if left else ():
            with suppress(OSError):
                os.unlink(path)

    # --- handles ------------------------------------------------------------------------------

    def _handle(self, row: Row) -> Any:
        backend = self._backends.get(row.backend)
        if backend is None:
            backend = self._backends[row.backend] = self._backend_of(row)
        if row.kind == KIND:
            plain = Plain.of(backend)
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

    def _backend_of(self, row: Row) -> Any:
        """Return the backend that a row of the ledger means, whatever it is configured as today."""
        session = self._session
        known = self._ledger.backend_row(row.backend)
        for backend in session.made():
            if _is(backend, known):
                return backend
        for name in self._names(known):
            try:
                backend = session.get_backend(name)
            except Exception:  # what else is configured, or not fully, keeps nobody from what is sought
                continue
            if _is(backend, known):
                return backend
        return self._anew(known)

    def _names(self, known: BackendRow) -> list[str]:
        """Return the names under which a backend may be configured, that of old first."""
        if known.host not in ("", HOST):
            return []
        config = self._session.config
        entries = {name: config.entry("backends", name) for name in config.backends}
        offered = "/" in known.type
        names = [
            name
            for name, entry in entries.items()
            if entry is not None and (entry.type == known.type or (offered and "/" in entry.type))
        ]
        names.sort(key=lambda name: name != known.label)
        if offered:
            provider, _, rest = known.type.partition("/")
            offers = {name: config.entry("providers", name) for name in config.providers}
            names += [f"{name}/{rest}" for name, entry in offers.items() if entry and entry.type == provider]
        if known.type not in entries and ":" not in known.type:
            names.append(known.type)
        return names

    def _anew(self, known: BackendRow) -> Any:
        from anyjob.session.missing_backend import MissingBackend

        backend: Any
        try:
            backend = self._session.rebuild(known)
        except Exception as error:
            why = error if isinstance(error, AnyjobError) else PluginError(f"{type(error).__name__}: {error}")
            backend = MissingBackend(known, why)
            self._session.take_in(backend, known)
        if known.host not in ("", HOST):
            # What its host does is told to nobody here: its jobs are looked at, at intervals.
            backend.other_host, backend.floor, backend.ceiling = known.host, 0.5, 2.0
        return backend


def forget(ledger: Ledger, job_ids: Sequence[str]) -> None:
    """Take jobs that have ended out of a ledger, and remove what they wrote."""
    roots = ledger.spools()
    for job_id in job_ids:
        for root in roots:
            spool.remove(root, job_id)
    for path in ledger.remove(job_ids):
        with suppress(OSError):
            os.unlink(path)


@contextmanager
def _reported(row: Row) -> Iterator[None]:
    """Have a job that cannot be shown left out of a list, and reported, so that the others are shown."""
    try:
        yield
    except AnyjobError as error:
        import logging

        logging.getLogger("anyjob").warning("job %s is left out: %s", row.job_id, error)


def _is(backend: Any, known: BackendRow) -> bool:
    if isinstance(backend, TaskBackend):
        return (
            isinstance(backend.recorder, LedgerRecorder)
            and backend.recorder.identity.fingerprint == known.fingerprint
        )
    plain = Plain.of(backend)
    return plain is not None and plain.identity.fingerprint == known.fingerprint


def _is_in_ledger(job: Any) -> bool:
    record = getattr(job, "_record", None)
    if record is None:
        return isinstance(job._heard, Entry) and job._heard.entered
    return bool(record.kind) and bool(job.backend().capabilities.durable)


def as_states(state: Any) -> Sequence[JobStatus] | None:
    """Take what a caller gave for a state: a status, its name, or several of them."""
    if state is None:
        return None
    if isinstance(state, (str, JobStatus)):
        state = [state]
    return [as_status(one.upper() if isinstance(one, str) else one) for one in state]


def as_time(since: Any) -> float | None:
    """Take what a caller gave for a time: a datetime, seconds since 1970, or how long ago ("2h")."""
    if since is None:
        return None
    if isinstance(since, datetime):
        return since.timestamp()
    if isinstance(since, (str, timedelta)):
        return time.time() - parse_duration(since, what="since")
    return float(since)


def _fits(
    job: Any,
    name: str | None,
    states: Sequence[JobStatus] | None,
    backend: str | None,
    tags: Mapping[str, str] | None,
    since: float | None,
) -> bool:
    record = getattr(job, "_record", None)
    if backend is not None and job.backend().name() != backend:
        return False
    if record is None:  # a plain job has neither name nor tags, and is asked
        if name is not None or tags or since is not None:
            return False
        return states is None or as_status(job.status()) in states
    if (
        states is not None
        and (record.status if record.status in JOB_FINAL_STATES else job.status()) not in states
    ):
        return False
    if not record.kind:  # it was attached: of what it was handed nothing is known
        return name is None and not tags and since is None
    resources = record.resources
    return (
        (name is None or resources.name == name)
        and all(resources.tags.get(key) == value for key, value in (tags or {}).items())
        and (since is None or record.submitted >= since)
    )

"""What the far end of a channel does with each request: it asks the backends of its session."""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyjob.errors import (
    AnyjobError,
    BackendAuthError,
    BackendError,
    BackendUnavailableError,
    JobNotFoundError,
    PluginError,
    SpecError,
    StateError,
    UnsupportedSpecError,
    in_words,
)
from anyjob.ledger.identity import HOST
from anyjob.ledger.rows import Row
from anyjob.outcome import KeptByBackend, LocalValue
from anyjob.outputs import job_logs
from anyjob.remote import packing
from anyjob.remote.far.arriving_bodies import ArrivingBodies
from anyjob.remote.far.state_directory import handing_over
from anyjob.remote.messages import (
    BULK_SIZE,
    CHUNK,
    Accepted,
    Attempts,
    Control,
    Data,
    EndedAttempt,
    Explained,
    Failure,
    JobIds,
    Limit,
    Limits,
    Missing,
    Modules,
    Names,
    Observed,
    OfferedBackend,
    Offers,
    Possible,
    Put,
    Read,
    RemoteObservation,
    RemoteOrder,
    Submit,
    Submitted,
)
from anyjob.resources import Resources
from anyjob.runtime.recording.content_store import ContentStore
from anyjob.runtime.submission.launch import launch_key
from anyjob.runtime.submission.submit import submit
from anyjob.session.backends.ledger_backends import LedgerBackends
from anyjob.specs import Spec
from anyjob.spool import job_spool
from anyjob.spool.job_spool import InSpool
from anyjob.spool.private_files import make_private
from anyjob.taskbackend import TaskBackend
from anyjob.taskjob import TaskJob

if TYPE_CHECKING:
    from anyjob.session.facade import Session

GIVEN_UP = "it was given up where it came from, before it was handed over"
"""Why an order is refused whose tombstone is here."""


class RequestHandler:
    """Does requests. Several threads may call it.

    Args:
        session: whose backends are asked.
        changed: called with the id of a job of which something was asked, whenever it has changed.
    """

    def __init__(self, session: Session, changed: Callable[[str], None]) -> None:
        self._session = session
        self._changed = changed
        self._state = session.ledger.state
        self._tombstones = self._state / "remote" / "renounced"
        self._bodies = ContentStore(self._state)
        self._bodies.sweep()
        self._arriving = ArrivingBodies(self._bodies)
        self._watched: dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._value: tuple[str, bytes] | None = None  # what was read last, which is read in parts
        self.requests: Mapping[str, Callable[[Any], Any]] = {
            "submit": self.submit,
            "observe": self.observe,
            "find": self.find,
            "cancel": self.cancel,
            "renounce": self.renounce,
            "control": self.control,
            "limit": self.limit,
            "read": self.read,
            "missing-bodies": lambda asked: Missing(self._bodies.missing(asked.names)),
            "may-have": lambda asked: Possible(self._bodies.may_have(asked.size, asked.sha256)),
            "missing-modules": self.missing_modules,
            "put": self.put,
            "offers": self.offers,
            "attempts": self.attempts,
            "explain": self.explain,
        }

    # --- handing over -----------------------------------------------------------------------------

    def submit(self, asked: Submit) -> Submitted:
        """Hand over what is not known here yet. Two who hand over the same do it once."""
        backend = self._backend(asked.backend)
        answers: dict[str, str] = {}
        with handing_over(self._state):
            known = self._session.ledger.rows([order.job_id for order in asked.orders])
            renounced = self._tombstones.is_dir()
            new = []
            for order in asked.orders:
                job_spool.check_id(order.job_id)
                if order.job_id in known:
                    answers[order.job_id] = ""
                elif renounced and self._tombstone(order.job_id).exists():
                    answers[order.job_id] = GIVEN_UP
                else:
                    new.append(order)
            for group in self._groups(backend, new, answers):
                self._submit(backend, group, answers)
        return Submitted(answers, self._session.ledger.last_number())

    def _groups(
        self, backend: TaskBackend, orders: Sequence[RemoteOrder], answers: dict[str, str]
    ) -> Iterator[list[tuple[str, Spec, Resources]]]:
        """Yield the work of orders that are launched together; what makes no sense is refused."""
        known: dict[bytes, tuple[Resources, bytes]] = {}
        groups: dict[bytes, list[tuple[str, Spec, Resources]]] = {}
        for order in orders:
            try:
                if order.resources not in known:
                    resources = packing.unpack_resources(order.resources)
                    known[order.resources] = resources, launch_key(backend, resources)
                work = packing.unpack_work(order.work, self._bodies.load)
            except (SpecError, TypeError) as error:
                answers[order.job_id] = str(error)
            else:
                resources, key = known[order.resources]
                groups.setdefault(key, []).append((order.job_id, work, resources))
        yield from groups.values()

    def _submit(
        self, backend: TaskBackend, group: Sequence[tuple[str, Spec, Resources]], answers: dict[str, str]
    ) -> None:
        ids, specs, resources = zip(*group, strict=True)
        try:
            jobs = submit(backend, specs, resources, job_ids=ids)
        except (BackendUnavailableError, BackendAuthError, StateError):
            raise
        except AnyjobError as error:
            if len(group) == 1:
                answers[ids[0]] = str(error)
                return
            for each in group:  # it may be about one of them
                self._submit(backend, [each], answers)
            return
        for job in jobs:
            outcome = job._record.outcome
            rejected = outcome is not None and outcome.reason == "rejected"
            answers[job.job_id()] = outcome.message if rejected and outcome is not None else ""
            if not rejected and job._record.resources.retries is not None:
                self._watch(
                    job
                )  # others are once somebody asks about them; of these somebody has to see the end

    def _tombstone(self, job_id: str) -> Path:
        return job_spool.path_of(self._tombstones, job_id)

    def renounce(self, asked: JobIds) -> Missing:
        """See to it that jobs that are not here never will be; return those."""
        with handing_over(self._state):
            known = self._session.ledger.rows(asked.ids)
            absent = [job_id for job_id in asked.ids if job_id not in known]
            for job_id in absent:
                path = self._tombstone(job_id)
                make_private(path.parent)
                path.touch(0o600)
        return Missing(absent)

    # --- where they are ---------------------------------------------------------------------------

    def find(self, asked: JobIds) -> Missing:
        """Return those of these jobs that are not here."""
        known = self._session.ledger.rows(asked.ids)
        return Missing([job_id for job_id in asked.ids if job_id not in known])

    def observe(self, asked: JobIds) -> Observed:
        """Tell where jobs are; from now on, whenever they change, that is told by ``changed``."""
        seen: dict[str, RemoteObservation] = {}
        jobs = self._jobs(asked.ids)
        for backend, some in _by_backend(jobs).items():
            for job in some:
                if job._record.outcome is None:
                    self._watch(job)  # before it is asked: what comes between is not missed
            _asked(backend, some)
        size, more = 0, []
        for job in jobs:
            if size > BULK_SIZE:
                more.append(job.job_id())
                continue
            seen[job.job_id()] = observation = packing.pack_record(job._record)
            size += packing.size_of_observation(observation)
        return Observed(seen, more)

    def explain(self, asked: JobIds) -> Explained:
        """Say of one job what ``anyjob explain`` says here."""
        from anyjob.views.details.facts_of import collect
        from anyjob.views.details.refresh import refresh
        from anyjob.views.explanation.explain import explain

        ledger = self._session.ledger
        rows = refresh(self._session, ledger, list(ledger.rows(asked.ids[:1]).values()))
        if not rows:
            raise JobNotFoundError(f"that job is not known on {HOST}, in {self._state}")
        return packing.pack_explanation(explain(collect(self._session, rows[0])))

    def _watch(self, job: TaskJob) -> None:
        job_id = job.job_id()

        def tell() -> None:
            self._changed(job_id)
            if job._record.outcome is not None:
                with self._lock:
                    forget = self._watched.pop(job_id, None)
                if forget is not None:
                    forget()

        with self._lock:
            if job_id in self._watched:
                return
            self._watched[job_id] = lambda: None
        forget = job._on_change(tell)
        with self._lock:
            is_watched = job_id in self._watched
            if is_watched:
                self._watched[job_id] = forget
        if not is_watched:  # it has ended meanwhile, and that was told
            forget()
        elif job._record.outcome is not None:
            tell()

    def cancel(self, asked: JobIds) -> Accepted:
        """Cancel jobs."""
        return self._done(asked.ids, lambda backend, jobs: backend.cancel_many(jobs))

    def control(self, asked: Control) -> Accepted:
        """Hold jobs, release them, pause, resume, or give them a priority."""
        return self._done(
            asked.ids, lambda backend, jobs: backend.control_many(asked.action, jobs, asked.value)
        )

    def limit(self, asked: Limit) -> Limits:
        """Have at most so many jobs run at a time; or only tell what limits there are."""
        backend = self._backend(asked.backend)
        if asked.name or asked.tags:
            return Limits(dict(backend.limit(asked.name, asked.most, tags=asked.tags)))
        return Limits(dict(backend.limits_now()))

    def _done(self, ids: Sequence[str], do: Callable[[Any, list[TaskJob]], list[bool]]) -> Accepted:
        """Do something to jobs; those of a backend that lives on another host are left to who asks there."""
        done = Accepted({})
        for backend, jobs in _by_backend(self._jobs(ids)).items():
            job_ids = [job.job_id() for job in jobs]
            if host := getattr(backend, "other_host", ""):
                done.elsewhere.update(dict.fromkeys(job_ids, host))
            else:
                done.jobs.update(zip(job_ids, do(backend, jobs), strict=True))
        return done

    # --- what they have left ------------------------------------------------------------------------

    def read(self, asked: Read) -> Data:
        """Read a part of what a job has written, or returned."""
        jobs = self._jobs([asked.id])
        if not jobs:
            raise JobNotFoundError(f"job {asked.id} is not known on {HOST}, in {self._state}")
        (job,) = jobs
        size = max(0, min(asked.size, CHUNK))
        if asked.what in ("stdout", "stderr"):
            if asked.attempt:
                read = job_logs.reader(job, asked.what, attempt=asked.attempt)
                return _data(read(max(0, asked.offset))[:size])
            data = job.backend().logs(job._record.ticket(), asked.what, max(0, asked.offset))
            return _data(data[:size])
        if asked.what == "file":
            part = job.backend()._left(job).read(os.fsdecode(asked.name), max(0, asked.offset))
            return _data(part.data[:size], part.size)
        if asked.what == "names":
            value = b"".join(os.fsencode(name) + b"\0" for name in job.backend()._left(job).names())
        else:
            value = self._value_of(job)
        return _data(value[asked.offset : asked.offset + size], len(value))

    def attempts(self, asked: JobIds) -> Attempts:
        """Tell what came of the attempts of a job that were followed by others."""
        ended = []
        for job in self._jobs(asked.ids[:1]):
            for number, why, outcome in job.backend().ended_attempts(job.job_id()):
                outcome.value = None
                ended.append(EndedAttempt(number, why, packing.pack_outcome(outcome)))
        return Attempts(ended)

    def _value_of(self, job: TaskJob) -> bytes:
        known = self._value
        if known is not None and known[0] == job.job_id():
            return known[1]
        value: Any = job.outcome(0).value
        if isinstance(value, KeptByBackend):  # that of a machine behind this one, say
            value = job.backend().fetch_value(job._record.ticket(), value)
        elif isinstance(value, InSpool):
            value = job_spool.load_large(value)
        elif isinstance(value, LocalValue):
            from anyjob.standalone import runner

            value = runner.dumps(value.value)
        elif not isinstance(value, bytes):
            raise JobNotFoundError(f"job {job.job_id()} has left no result")
        found: bytes = value
        self._value = job.job_id(), found
        return found

    def put(self, asked: Put) -> None:
        """Take in a part of a body."""
        self._arriving.put(asked.number, asked.offset, asked.data, asked.sha256)

    def missing_modules(self, asked: Modules) -> Missing:
        """Return those of these modules that calls cannot import; none is imported.

        Nothing is known of that where calls are run by another interpreter than this one: by the one that the
        backend names, by workers, or on one more machine.
        """
        backend = self._backend(asked.backend)
        if not backend.capabilities.shared_files or getattr(backend.options, "python", None) != "":
            return Missing([])
        importlib.invalidate_caches()  # somebody may have installed it since
        return Missing([name for name in asked.names if not _can_import(name)])

    def offers(self, asked: Names) -> Offers:
        """Tell what backends can do here."""
        return Offers({name: self._offered(name) for name in asked.names})

    def _offered(self, name: str) -> OfferedBackend:
        entry = self._session.config.entry("backends", name)
        kind = entry.type if entry else name
        try:
            backend = self._session.get_backend(name)
            if isinstance(backend, TaskBackend):
                backend.learn_capabilities()
        except AnyjobError as error:
            return OfferedBackend(kind, str(error))
        can = {  # and what of `Resources` is no capability
            **backend.capabilities.to_dict(),
            "signal_before": getattr(backend, "tells_walltime", False),
            "on_walltime": getattr(backend, "reruns_at_walltime", False),
        }
        accepts = sorted(getattr(backend, "accepts", ()))
        return OfferedBackend(kind, "", accepts, [word for word, has in can.items() if has])

    # --- who is asked -------------------------------------------------------------------------------

    def _backend(self, name: str) -> TaskBackend:
        backend = self._session.get_backend(name or None)
        if not isinstance(backend, TaskBackend) or not backend.capabilities.durable:
            raise BackendError(
                f"backend {backend.name()!r} there is not durable: its jobs would end with the connection; "
                "name one that is, `backend = …`: local, a scheduler's, or that of a cluster which is "
                "configured so there (Dask: `address`; Ray: `address`, and `mode` durable)"
            )
        return backend

    def _jobs(self, ids: Sequence[str]) -> list[TaskJob]:
        """Return handles on those of these jobs that are known here."""
        rows: dict[str, Row] = self._session.ledger.rows(ids)
        backends = LedgerBackends(self._session)
        return [backends.of(row).recall(row) for row in rows.values()]


def _by_backend(jobs: Sequence[TaskJob]) -> dict[Any, list[TaskJob]]:
    found: dict[Any, list[TaskJob]] = {}
    for job in jobs:
        found.setdefault(job.backend(), []).append(job)
    return found


def _asked(backend: Any, jobs: Sequence[TaskJob]) -> None:
    backend._tracker.ask_all([job._record for job in jobs])


def _data(data: bytes, total: int | None = None) -> Data:
    return Data(total, data=memoryview(data))


def _can_import(name: str) -> bool:
    with suppress(ImportError, ValueError, AttributeError):
        return importlib.util.find_spec(name) is not None
    return False


def failure(error: BaseException) -> Failure:
    """Return what is told of an error."""
    kinds: list[tuple[type[BaseException], str]] = [
        (BackendAuthError, "auth"),
        (BackendUnavailableError, "away"),
        (StateError, "away"),
        (JobNotFoundError, "no-job"),
        (UnsupportedSpecError, "unsupported"),
        (SpecError, "spec"),
        (PluginError, "plugin"),
        (AnyjobError, "backend"),
    ]
    kind = next((word for known, word in kinds if isinstance(error, known)), "fault")
    words = str(error) if isinstance(error, AnyjobError) else in_words(error)
    return Failure(kind, words.encode("utf-8", "backslashreplace").decode())

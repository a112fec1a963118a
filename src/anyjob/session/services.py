"""What a session's backends use of it: its registry, its ledger, and its plugins' hooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import AnyjobError
from anyjob.runtime.services import AMENDED, Admission, Services

if TYPE_CHECKING:
    from anyjob.ledger.end_effects import EndEffects
    from anyjob.ledger.rows import Row
    from anyjob.ledger.store import Ledger
    from anyjob.outcome import Outcome
    from anyjob.resources import Resources
    from anyjob.specs import Spec
    from anyjob.status import JobStatus
    from anyjob.tracking.records import JobRecord


BEFORE_SUBMIT = "anyjob_before_submit"


class SessionServices(Services):
    """Calls the hooks of a session. What nobody implements costs an attribute."""

    def __init__(self, session: t.Session) -> None:
        super().__init__(session.registry)
        self._session = session
        self._hooks = hooks = session.registry.hooks
        hooks.call("anyjob_configure", config=session.config)
        self._known = -1
        self._watches = False
        self._queue: Any = None

    @property
    def ledger(self) -> Ledger:
        """The session's."""
        return self._session.ledger

    def pickled(self, job: Any) -> tuple[Any, ...]:
        """The handle of a durable job becomes one wherever its ledger can be read."""
        if not job.backend().capabilities.durable:
            return super().pickled(job)
        from anyjob.session.current_sessions import find_anywhere

        return find_anywhere, (type(self._session), job.job_id(), str(self.ledger.state))

    def job(self, job_id: str) -> Any:
        """Return a handle on a job of which nothing is known but its id."""
        return self._session.get_job(job_id)

    @property
    def watches(self) -> bool:  # type: ignore[override]
        """Whether a plugin wants to hear of changes."""
        hooks = self._hooks
        if self._known != hooks.generation:  # asked several times a job, so the answer is kept
            self._watches = hooks.implements("anyjob_status_changed") or hooks.implements("anyjob_finished")
            self._known = hooks.generation
        return self._watches

    @property
    def chooses(self) -> bool:  # type: ignore[override]
        """Whether a plugin wants to choose where work runs."""
        return self._hooks.implements("anyjob_choose_backend")

    def choose(self, spec: Spec) -> Any:
        """Let a plugin choose the backend; None where none does."""
        names = self._session.backend_names()
        return self._hooks.call("anyjob_choose_backend", session=self._session, spec=spec, candidates=names)

    @property
    def may_refuse(self) -> bool:  # type: ignore[override]
        """Whether a plugin is asked by `before_submit`."""
        return self._hooks.implements(BEFORE_SUBMIT)

    def before_submit(self, backend: Any, job_id: str, spec: Any, resources: Resources) -> Admission | None:
        """Told before a job is handed to the engine; a plugin may raise `Refused`, note, or amend."""
        if not self._hooks.implements(BEFORE_SUBMIT):
            return None
        from anyjob.hookspecs import Amended

        about = {"session": self._session, "backend": backend, "job_id": job_id, "spec": spec}
        arguments = {**about, "resources": resources}
        notes: list[Any] = []
        amended = []
        for plugin, answer in self._hooks.each(BEFORE_SUBMIT, arguments):
            if isinstance(answer, Amended):
                arguments["resources"] = answer.of(arguments["resources"])
                amended.append(f"{plugin} has set {answer}")
                answer = answer.notes
            notes.append(answer)
        kept = _together(BEFORE_SUBMIT, notes)
        if amended:
            kept[AMENDED] = "\n".join(amended)
        return Admission(arguments["resources"], kept)

    def environment(self, backend: Any, job_id: str, spec: Spec) -> Mapping[str, str]:
        """Collect the variables that plugins give to a job."""
        if not self._hooks.implements("anyjob_job_environment"):
            return {}
        given = self._hooks.call(
            "anyjob_job_environment", session=self._session, backend=backend, job_id=job_id, spec=spec
        )
        return _together("anyjob_job_environment", given)

    def jobs(self, backend: Any, job_ids: Iterable[str], refresh: bool = False) -> dict[str, Any]:
        """Return handles on jobs of the ledger, of whatever backends."""
        from anyjob.session.jobs.finder import JobFinder

        finder = JobFinder(self._session)
        if refresh:
            finder.refresh(self.ledger.rows(list(job_ids)).values())
        return finder.by_ids(list(job_ids))

    def advance(self, effects: EndEffects) -> None:
        """Tell the backends of these jobs; one that cannot be told now looks by itself, sooner or later."""
        from anyjob.session.backends.ledger_backends import LedgerBackends

        if any(not self.ledger.backend_row(each.backend).host for each in effects.again):
            with suppress(AnyjobError):
                self.look_after_releases()
        backends = LedgerBackends(self._session)
        ids = [job_id for job_id, _ in (*effects.ended, *effects.released)]
        of_backend: dict[int, list[Row]] = {}
        for row in self.ledger.rows(ids).values():
            of_backend.setdefault(row.backend, []).append(row)
        for number, rows in of_backend.items():
            with suppress(AnyjobError):
                if not self.ledger.backend_row(number).host:  # its jobs are handed over by a releaser
                    self.look_after_releases()
                    continue
                backend = backends.of(rows[0])
                if getattr(backend, "queues_in_ledger", False):
                    backend.advance([row.job_id for row in rows])

    def jobs_meant(self, text: str) -> list[Any]:
        """Return handles on the jobs that a text means, of the ledger and of this process."""
        from anyjob.runtime.dependencies.prerequisites import PIPELINE

        session = self._session
        named = (session.jobs(name=text) or session.jobs(tags={PIPELINE: text})) if text else []
        return named or [session.get_job(text)]

    def look_after_releases(self) -> None:
        """Have the supervisor of this host look what there is to release; one is started where none runs.

        Raises:
            ConfigError: there are no supervisors on this platform.
            BackendUnavailableError: none can be reached.
        """
        self._queue_of_host().advance([])

    def _queue_of_host(self) -> Any:
        """Return a backend whose supervisor is that of this host, whether one is configured or not."""
        session = self._session
        for made in session.made():
            if getattr(made, "queues_in_ledger", False) and not made.other_host and not made.is_closed:
                return made
        for name, entry in session.config.backends.items():
            if entry.type == "local":
                return session.get_backend(name)
        if self._queue is None or self._queue.is_closed:
            self._queue = session.registry.backend("local").from_options("local", {})
            self._queue.services = self
            session.keep(self._queue)
        return self._queue

    def _failure_of(self, job_id: str) -> BaseException | None:
        """Return what the result of another job raises, which has ended; None for a plain one."""
        job = self._session.get_job(job_id)
        failure: BaseException | None = job.exception(timeout=0) if hasattr(job, "exception") else None
        return failure

    def submitted(self, job: Any) -> None:
        """Told when the engine has taken a job."""
        if self._hooks.implements("anyjob_submitted"):
            self._hooks.call("anyjob_submitted", job=job)

    def changed(self, record: JobRecord, old: JobStatus, new: JobStatus) -> None:
        """Told once for each change of a job's status."""
        if self._hooks.implements("anyjob_status_changed"):
            self.plain_changed(record.tracker.handle(record), old, new)

    def plain_changed(self, job: Any, old: JobStatus | None, new: JobStatus) -> None:
        """The same, of a job of any backend."""
        if self._hooks.implements("anyjob_status_changed"):
            self._hooks.call("anyjob_status_changed", job=job, old=old, new=new)

    def finished(self, backend: Any, record: JobRecord, outcome: Outcome) -> None:
        """Told once when a job has ended."""
        if self._hooks.implements("anyjob_finished") and backend.recorder.claim_finished(record.job_id):
            self.plain_finished(record.tracker.handle(record), outcome)

    def plain_finished(self, job: Any, outcome: Outcome) -> None:
        """The same, of a job of any backend."""
        if self._hooks.implements("anyjob_finished"):
            self._hooks.call("anyjob_finished", job=job, outcome=outcome)


def _together(hook: str, given: Sequence[Any]) -> dict[str, str]:
    """Put together what plugins have returned, the last one last; what is no text by name is left out."""
    together: dict[str, str] = {}
    for some in given:
        if isinstance(some, Mapping) and all(isinstance(text, str) for pair in some.items() for text in pair):
            together.update(some)
        else:
            from anyjob.process.reporting import report

            why = "%s returned %r, which is left out: it returns a mapping of text to text, or None"
            report(why, hook, some, logger="anyjob.plugins")
    return together

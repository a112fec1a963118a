"""Has the jobs of a plain backend, which it makes by itself, told to the hooks and entered into the ledger.

This module is on the path of every look-up of a plain backend: what jobs need is imported when it runs one.
"""

from __future__ import annotations

import weakref

from anyjob import _typing as t
from anyjob.backend import BaseBackend
from anyjob.process.weak_collections import living

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anyjob.ledger.rows import BackendRow, Row


class PlainRun:
    """Takes the place of a plain backend's ``run``: runs as that does, and follows what it returns.

    Where the backend can find its jobs again, they are entered into the ledger, under an id of ours. Where
    several sessions are given one and the same backend (by a provider that keeps it), it is that of the
    last one.

    Args:
        session: the one whose hooks are told, and whose ledger is kept.
        backend: what the session was given.
        identify: tells what that is; called when it is first needed.
    """

    def __init__(self, session: t.Session, backend: Any, identify: Any) -> None:
        known: Any = vars(backend).get("run")
        if isinstance(known, PlainRun):
            known._session = session
            return
        self._session: t.Session = session
        self._backend = backend
        self._identify = identify
        self._identity: BackendRow | None = None
        self._jobs: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self.__wrapped__ = self._run = backend.run  # whose signature and docstring this has
        self.__doc__ = backend.run.__doc__
        backend.run = self

    @classmethod
    def of(cls, backend: Any) -> PlainRun | None:
        """Return what has taken the place of a backend's ``run``."""
        run = vars(backend).get("run")
        return run if isinstance(run, PlainRun) else None

    @property
    def identity(self) -> BackendRow:
        """What this backend is, for the ledger."""
        if self._identity is None:
            self._identity = self._identify()
        return self._identity

    def jobs(self) -> Mapping[str, Any]:
        """Return the jobs that somebody holds a handle on, oldest first, by our ids."""
        return living(self._jobs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as the backend does, and tell the hooks of the session.

        Raises:
            Refused: a plugin would not let it through.
        """
        from anyjob.job import BaseJob
        from anyjob.resources import Resources
        from anyjob.runtime.ids import new_id
        from anyjob.session.backends.plain_job import LedgerEntry

        _refuse_prerequisites(str(self._backend), self._run, kwargs)
        services: Any = self._session.services
        admitted = services.before_submit(self._backend, "", args[0] if args else None, Resources())
        if admitted is not None and admitted.resources != Resources():
            _tell_ignored(str(self._backend))
        returned = self._run(*args, **kwargs)
        for job in returned if isinstance(returned, list | tuple) else (returned,):
            if isinstance(job, BaseJob):
                job_id = new_id()
                self._jobs[job_id] = job
                if self._finds_jobs():
                    job._status_observer = LedgerEntry(
                        self._session, job_id, job, self.identity, work=_described(args)
                    )
                services.submitted(job)
                self._follow(job)
        return returned

    def recall(self, row: Row) -> Any:
        """Return a handle on a job of the ledger: the one that is there, or one that the backend gives.

        Raises:
            AnyjobError: as the backend's ``retrieve_job`` does.
        """
        from anyjob.session.backends.plain_job import LedgerEntry

        job = self._jobs.get(row.job_id)
        if job is None:
            job = self._jobs[row.job_id] = self._backend.retrieve_job(row.native_id)
            if job._status_observer is None:
                job._status_observer = LedgerEntry(self._session, row.job_id, job, self.identity, row.status)
                self._follow(job)
        return job

    def _finds_jobs(self) -> bool:
        return type(self._backend).retrieve_job is not BaseBackend.retrieve_job

    def _follow(self, job: Any) -> None:
        services: Any = self._session.services
        if services.watches:
            from anyjob.session.backends.plain_job import HookCaller
            from anyjob.tracking.plain_polling import follow

            follow(job, HookCaller(services, job))

    def __reduce__(self) -> Any:
        # A copy of the backend, in another process perhaps, has its own run, which nobody follows.
        return getattr, (self._backend, "run")


def _refuse_prerequisites(backend: str, run: Any, given: Mapping[str, Any]) -> None:
    from anyjob.status import PREREQUISITES

    wanted = [key for key in PREREQUISITES if key in given]
    if wanted:
        from inspect import signature

        from anyjob.errors import UnsupportedSpecError

        if wanted[0] not in signature(run).parameters:  # else it means something of its own by it
            raise UnsupportedSpecError(
                f"backend {backend!r} cannot start a job after others: {wanted[0]}= is for task backends, "
                "such as `local`; or wait for those others first"
            )


def _tell_ignored(backend: str) -> None:
    from anyjob.process.reporting import report

    why = "a plugin amends what a job of backend %s is given, which is left out: it is no task backend"
    report(why, backend, logger="anyjob.plugins")


def _described(args: tuple[Any, ...]) -> str:
    """Return in a line what a plain backend was handed; what went by keyword may be a token."""
    from anyjob.text.brief import LONGEST, arguments
    from anyjob.text.printable import printable, shortened

    try:
        return shortened(printable(arguments(args)), LONGEST)
    except Exception:  # of an object that does as it likes when it is looked at
        return ""

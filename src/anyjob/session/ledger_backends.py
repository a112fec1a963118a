"""Finds the backends that the ledger means, whatever is configured under their names today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from anyjob.backend import BackendConfiguration, Capabilities
from anyjob.errors import AnyjobError, BackendError, PluginError
from anyjob.ledger.identity import HOST
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.runtime.ledger_recorder import LedgerRecorder
from anyjob.session.plain_backend import PlainRun
from anyjob.taskbackend import TaskBackend

if TYPE_CHECKING:
    from anyjob.ledger.rows import BackendRow, Row
    from anyjob.session.facade import Session


class LedgerBackends:
    """The backends of a session's ledger: those that the session has or can get, else made anew."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found: dict[int, Any] = {}

    def of(self, row: Row) -> Any:
        """Return the backend that the job of this row was given to."""
        backend = self._found.get(row.backend)
        if backend is None:
            known = self._session.ledger.backend_row(row.backend)
            backend = self._find(known)
            if backend is None:
                backend = self._remade(known)
            self._found[row.backend] = backend
        return backend

    def _find(self, known: BackendRow) -> Any:
        session = self._session
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
        return None

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

    def _remade(self, known: BackendRow) -> Any:
        backend: Any
        try:
            backend = self._session.remake_backend(known)
        except Exception as error:
            why = error if isinstance(error, AnyjobError) else PluginError(f"{type(error).__name__}: {error}")
            backend = MissingBackend(known, why)
            self._session.adopt(backend, known)
        if known.host not in ("", HOST):
            # What its host does is told to nobody here: its jobs are looked at, at intervals.
            backend.other_host, backend.floor, backend.ceiling = known.host, 0.5, 2.0
        return backend


def _is(backend: Any, known: BackendRow) -> bool:
    if isinstance(backend, TaskBackend):
        return (
            isinstance(backend.recorder, LedgerRecorder)
            and backend.recorder.identity.fingerprint == known.fingerprint
        )
    plain = PlainRun.of(backend)
    return plain is not None and plain.identity.fingerprint == known.fingerprint


class MissingBackend(TaskBackend):
    """Shows what the ledger and the spool know of its jobs; whatever else is asked of it raises.

    Args:
        row: what the ledger knows of the backend.
        why: what kept it from being made: its plugin is not installed, for one.
    """

    capabilities = Capabilities(durable=True, shared_files=True, logs=True)
    floor = 0.05
    grace = float("inf")

    def __init__(self, row: BackendRow, why: AnyjobError) -> None:
        super().__init__(BackendConfiguration(row.label))
        self.ledger_row = row
        self.type_name = row.type
        self.why = why

    def launch(self, orders: Sequence[Order]) -> Iterable[tuple[Order, Answer]]:
        """Raise why not."""
        self._refuse("hand it work")

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Raise why not."""
        self._refuse("ask about its jobs")

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Raise why not."""
        self._refuse("cancel its jobs")

    def _refuse(self, what: str) -> NoReturn:
        raise BackendError(
            f"backend {self.name()!r}, of type {self.type_name!r}, cannot be made, so nobody can {what}: "
            f"{self.why}"
        ) from self.why

"""Finds the backends that the ledger means, whatever is configured under their names today."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import (
    AnyjobError,
    BackendError,
    BackendUnavailableError,
    PluginError,
    UnknownNameError,
    in_words,
)
from anyjob.ledger.identity import HOST
from anyjob.registry.entry_points import BACKENDS, PROVIDERS
from anyjob.runtime.recording.ledger_recorder import LedgerRecorder
from anyjob.session.backends.missing_backends import DeferredBackend, MissingBackend
from anyjob.session.backends.plain_backend import PlainRun
from anyjob.taskbackend import TaskBackend
from anyjob.text.suggestions import did_you_mean

if TYPE_CHECKING:
    from anyjob.ledger.rows import BackendRow, Row


class LedgerBackends:
    """The backends of a session's ledger: those that the session has or can get, else made anew."""

    def __init__(self, session: t.Session) -> None:
        self._session = session
        self._found: dict[int, Any] = {}

    def of(self, row: Row) -> Any:
        """Return the backend that the job of this row was given to."""
        backend = self._found.get(row.backend)
        if backend is None:
            known = self._session.ledger.backend_row(row.backend)
            backend = next((each for each in self._session.made() if _is(each, known)), None)
            if backend is None:
                backend = self._made_or_missing(known)
            self._found[row.backend] = backend
        return backend

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of the backends in the ledger that are called so.

        That is by the name under which it was last given a job, by its type, by ``PROVIDER/BACKEND``, and by
        every name that it is configured under today.

        Raises:
            UnknownNameError: no backend is called so, in the ledger or outside of it.
        """
        session = self._session
        rows = session.ledger.backend_rows() if session.ledger.exists else {}
        found = [number for number, row in rows.items() if name in row.names]
        entry = session.config.entry("backends", name)
        if entry is not None:
            found += [
                number
                for number, row in rows.items()
                if number not in found and self._may_be(entry.type, row) and self._is_now(name, row)
            ]
        if not found and entry is None:
            self._require_known(name, rows.values())
        return found

    def _require_known(self, name: str, rows: Iterable[BackendRow]) -> None:
        session = self._session
        provider, slash, _ = name.partition("/")
        installed = session.registry.origin(PROVIDERS if slash else BACKENDS, provider if slash else name)
        if installed is not None or (slash and provider in session.config.providers):
            return
        known = {*session.backend_names(), *(each for row in rows for each in row.names)}
        known.update(each for backend in session.made() for each in names_of(backend))
        if name not in known:
            raise UnknownNameError(f"no backend is called {name!r}{did_you_mean(name, known)}")

    def _made(self, known: BackendRow) -> Any:
        """Return the backend as the session has it, or has it configured; else made as it was.

        Raises:
            BackendUnavailableError: it, or one that may be it, cannot be reached now.
            BackendError: its account does not have it, or refuses our credentials.
            Exception: it cannot be made.
        """
        session = self._session
        away: BackendUnavailableError | None = None
        for backend in session.made():
            if _is(backend, known) and not isinstance(backend, MissingBackend):
                return backend
        for name in self._names(known):
            is_now = False
            try:
                is_now = self._is_now(name, known)
                if is_now:
                    return session.get_backend(name)
            except Exception as error:
                if is_now and isinstance(error, BackendError):
                    raise  # what its account says of it; its other names lead to the same
                if isinstance(error, BackendUnavailableError):
                    away = error
                # Else: what else is configured, or not fully, keeps nobody from what is sought.
        try:
            return session.remake_backend(known)
        except Exception:
            if away is not None:
                raise away from None
            raise

    def _names(self, known: BackendRow) -> list[str]:
        """Return the names under which a backend may be configured, that of old first."""
        if known.host not in ("", HOST):
            return []
        config = self._session.config
        entries = {name: config.entry("backends", name) for name in config.backends}
        names = [name for name, entry in entries.items() if entry and self._may_be(entry.type, known)]
        names.sort(key=lambda name: name != known.label)
        provider, offered, own_name = known.type.partition("/")
        if offered:
            accounts = [entry.name for entry in config.providers.values() if entry.type == provider]
            names += [f"{account}/{own_name}" for account in accounts]
        if known.type not in entries and ":" not in known.type:
            names.append(known.type)
        return names

    def _may_be(self, configured: str, known: BackendRow) -> bool:
        """Ask whether what is configured to be of a type may be one of the ledger, as far as types tell."""
        account, slash, own_name = configured.partition("/")
        if not slash:
            return configured == known.type
        entry = self._session.config.providers.get(account)
        return f"{entry.type if entry else account}/{own_name}" == known.type

    def _is_now(self, name: str, known: BackendRow) -> bool:
        """Ask whether a name leads to one of the ledger today; no provider is asked for it."""
        if "/" in known.type:
            return self._session.offered_row(name).fingerprint == known.fingerprint
        return _is(self._session.get_backend(name), known)

    def _made_or_missing(self, known: BackendRow) -> Any:
        backend: Any
        try:
            backend = self._made(known)
        except BackendUnavailableError:
            backend = DeferredBackend(known, lambda: self._made(known))
            self._session.adopt(backend, known)
        except Exception as error:  # of a plugin that is missing, or broken: its jobs are listed all the same
            why = error if isinstance(error, AnyjobError) else PluginError(in_words(error))
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


def names_of(backend: Any) -> frozenset[str]:
    """Return all that a backend of this process is called."""
    row = getattr(backend, "ledger_row", None)
    plain = PlainRun.of(backend)
    if plain is not None:
        row = plain.identity
    own = {backend.name(), backend.configured_name, getattr(backend, "type_name", "")} - {""}
    return frozenset(own) | (row.names if row is not None else frozenset())

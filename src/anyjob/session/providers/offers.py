"""What the providers of a session offer: they are asked at once, and once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from anyjob import _typing as t
from anyjob.errors import AnyjobError, BackendUnavailableError, ConfigError
from anyjob.process.plugin_thread import PluginThread
from anyjob.session.providers.provider_calls import as_it_gives

if TYPE_CHECKING:
    from anyjob.session.backends.backend_factory import BackendFactory

AT_ONCE = 64
"""Threads that ask at a time."""
TIMEOUT = 30.0
"""Seconds that a provider may take to answer."""
AGAIN = 30.0
"""Seconds after which a provider that did not answer is asked again."""
T = TypeVar("T")


class Offers:
    """Asks the providers of a session for their backends, and remembers what they said.

    Args:
        session: whose providers they are.
        factory: makes its backends.
    """

    def __init__(self, session: t.Session, factory: BackendFactory) -> None:
        self._session = session
        self._factory = factory
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, list[Any] | Exception]] = {}

    def by_provider(self, timeout: float = TIMEOUT) -> dict[str, list[Any] | Exception]:
        """Return the backends that each provider offers, by its name; or why it does not say.

        Those are the providers that are configured, and the installed types that none of these is of, where
        they need no configuration.

        Args:
            timeout: seconds that each may take.
        """
        with self._lock:
            now = time.monotonic()
            ask = [
                name
                for name in self._names()
                if name not in self._known
                or (isinstance(self._known[name][1], Exception) and now - self._known[name][0] > AGAIN)
            ]
            answers = at_once(lambda name: offered_by(self._session, name), ask, timeout)
            for name, answer in answers.items():
                self._known[name] = time.monotonic(), answer
            configured = self._session.config.providers
            return {
                name: answer
                for name in self._names()
                for answer in [self._known[name][1]]
                if name in configured or not isinstance(answer, ConfigError)
            }

    def backends(self, timeout: float = TIMEOUT) -> list[Any]:
        """Return the backends that the providers offer, less those that are configured under a name.

        A provider that does not answer is left out, and reported by the logger ``anyjob``, once.

        Args:
            timeout: seconds that each provider may take.
        """
        found = []
        for account, answer in self.by_provider(timeout).items():
            if isinstance(answer, Exception):
                self._session.report_once(f"provider {account}", answer)
                continue
            for backend in answer:
                try:
                    taken = self._factory.take(account, backend)
                except AnyjobError as error:
                    self._session.report_once(f"{account}/{backend.name()}", error)
                else:
                    found += [] if taken is None else [taken]
        return found

    def _names(self) -> list[str]:
        configured = self._session.config.providers
        used = {entry.type for entry in configured.values()}
        installed = self._session.registry.names("anyjob.providers")
        return [*configured, *(name for name in installed if name not in used and name not in configured)]


def offered_by(session: t.Session, name: str) -> list[Any]:
    """Return the backends of a provider as it has them, which are no session's yet."""
    with as_it_gives(session.get_provider(name)) as provider:
        found: list[Any] = provider.backends()
    return found


def at_once(ask: Callable[[str], T], names: Iterable[str], timeout: float) -> dict[str, T | Exception]:
    """Call a function with each name, in threads; return what it returned or raised, in the same order.

    Args:
        ask: is called with a name.
        names: each once.
        timeout: seconds after which one that has not returned is given up; its thread keeps no program alive.
    """
    names = list(names)
    answers: dict[str, T | Exception] = {}
    turn = threading.BoundedSemaphore(AT_ONCE)

    def answer(name: str) -> None:
        with turn:
            try:
                answers[name] = ask(name)
            except Exception as error:  # of a plugin, or a service that is away: it is the answer of this one
                answers[name] = error

    threads = [PluginThread(answer, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    end = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = BackendUnavailableError(f"it has not answered within {timeout:g} s")
    return {name: answers.get(name, late) for name in names}

"""Has what a program gets from a provider of a session be a backend of that session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ("backends", "get_backend", "least_busy")
"""Those of a provider that give backends."""


class ProviderCall:
    """Takes the place of a method of a provider: does as that does, and has the session take what it gives.

    What the provider calls in itself is its own affair: there its backends are called as it calls them.

    Args:
        method: the provider's own.
        account: what the session calls the provider.
        take: is given what comes out, and returns what the session makes of it.
        inside: knows of each thread whether it is in a call of this provider already.
    """

    def __init__(
        self, method: Any, account: str, take: Callable[[Any], Any], inside: threading.local
    ) -> None:
        self.__wrapped__ = method  # whose signature and docstring this has
        self.__doc__ = method.__doc__
        self._account = account
        self._take = take
        self.inside = inside

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do as the provider does."""
        if getattr(self.inside, "is_set", False):
            return self.__wrapped__(*args, **kwargs)
        if args:
            args = self._own_name(args[0]), *args[1:]
        elif "name" in kwargs:
            kwargs["name"] = self._own_name(kwargs["name"])
        with _set(self.inside):
            given = self.__wrapped__(*args, **kwargs)
        return self._take(given)

    def _own_name(self, asked: Any) -> Any:
        """Return what the provider calls a backend, of what the session calls it."""
        return asked.removeprefix(f"{self._account}/") if isinstance(asked, str) else asked

    def __reduce__(self) -> Any:
        # A copy of the provider, in another process perhaps, is no session's.
        return getattr, (self.__wrapped__.__self__, self.__wrapped__.__name__)


def take_from(provider: Any, account: str, take: Callable[[Any], Any]) -> None:
    """Have a function be given all that a provider gives to its callers."""
    inside = threading.local()
    for name in METHODS:
        setattr(provider, name, ProviderCall(getattr(provider, name), account, take, inside))


@contextmanager
def as_it_gives(provider: Any) -> Iterator[Any]:
    """Inside, a provider gives its backends as it has them, to whoever takes them in by itself."""
    call = vars(provider).get(METHODS[0])
    if isinstance(call, ProviderCall):
        with _set(call.inside):
            yield provider
    else:
        yield provider


@contextmanager
def _set(inside: threading.local) -> Iterator[None]:
    before = getattr(inside, "is_set", False)
    inside.is_set = True
    try:
        yield
    finally:
        inside.is_set = before

"""What Python itself is seen to do while something is looked at: connections."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
_listening: list[list[str]] = []
_is_hooked = False


@contextmanager
def connections_while() -> Iterator[list[str]]:
    """Collect what is asked of the network inside, by any thread; sockets of this machine are none of it."""
    global _is_hooked
    if not _is_hooked:
        _is_hooked = True
        sys.addaudithook(_hear)  # which cannot be taken away again
    seen: list[str] = []
    _listening.append(seen)
    try:
        yield seen
    finally:
        _listening.remove(seen)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening or event not in _NETWORK:
        return
    asked = arguments[0] if event.startswith("socket.get") else arguments[1]
    if isinstance(asked, (str, bytes, type(None))) and not event.startswith("socket.get"):
        return  # a path, or to where it is connected already
    for seen in list(_listening):
        seen.append(f"{event} of {asked!r}")

"""What Python itself is seen to do while something is looked at: connections, and programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
_QUESTIONS = ("socket.connect", "subprocess.Popen")
_listening: list[tuple[tuple[str, ...], list[str]]] = []
_is_hooked = False


@contextmanager
def connections_while() -> Iterator[list[str]]:
    """Collect what is asked of the network inside, by any thread; sockets of this machine are none of it."""
    with _heard(_NETWORK) as seen:
        yield seen


@contextmanager
def questions_while() -> Iterator[list[str]]:
    """Collect what an engine is asked by inside, by any thread: new connections, and programs."""
    with _heard(_QUESTIONS) as seen:
        yield seen


@contextmanager
def _heard(events: tuple[str, ...]) -> Iterator[list[str]]:
    global _is_hooked
    if not _is_hooked:
        _is_hooked = True
        sys.addaudithook(_hear)  # which cannot be taken away again
    seen: list[str] = []
    listener = (events, seen)
    _listening.append(listener)
    try:
        yield seen
    finally:
        _listening[:] = [each for each in _listening if each is not listener]


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening or not (event in _NETWORK or event in _QUESTIONS):
        return
    first = event.startswith(("socket.get", "subprocess."))
    asked = arguments[0] if first else arguments[1]
    if isinstance(asked, (str, bytes, type(None))) and not first:
        return  # a path, or to where it is connected already
    for events, seen in list(_listening):
        if event in events:
            seen.append(f"{event} of {asked!r}")

"""Records what Python's audit events tell of while something happens: connections, and programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
_REQUESTS = ("socket.connect", "subprocess.Popen")
_recordings: list[tuple[tuple[str, ...], list[str]]] = []
_is_hooked = False


@contextmanager
def record_connections() -> Iterator[list[str]]:
    """Record what is asked of the network inside, by any thread; sockets of this machine are none of it."""
    with _recorded(_NETWORK) as events:
        yield events


@contextmanager
def record_requests() -> Iterator[list[str]]:
    """Record what an engine is asked by inside, by any thread: new connections, and programs."""
    with _recorded(_REQUESTS) as events:
        yield events


@contextmanager
def _recorded(names: tuple[str, ...]) -> Iterator[list[str]]:
    global _is_hooked
    if not _is_hooked:
        _is_hooked = True
        sys.addaudithook(_hook)  # which cannot be taken away again
    events: list[str] = []
    recording = (names, events)
    _recordings.append(recording)
    try:
        yield events
    finally:
        _recordings[:] = [each for each in _recordings if each is not recording]


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _recordings or not (event in _NETWORK or event in _REQUESTS):
        return
    is_first = event.startswith(("socket.get", "subprocess."))
    target = arguments[0] if is_first else arguments[1]
    if isinstance(target, (str, bytes, type(None))) and not is_first:
        return  # a path, or to where it is connected already
    for names, events in list(_recordings):
        if event in names:
            events.append(f"{event} of {target!r}")

"""Captures what a call in a thread of a worker prints, apart from what other threads print."""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from typing import Any

STREAMS = ("stdout", "stderr")


class Capture:
    """What one call prints, by stream, as UTF-8: a context manager for the thread that makes the call."""

    def __init__(self) -> None:
        self._written: dict[str, bytearray] = {}
        self._lock = threading.Lock()
        self._token: Any = None

    def __enter__(self) -> None:
        _install()
        self._token = _current.set(self)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)

    def write(self, stream: str, text: str) -> None:
        """Take a text."""
        with self._lock:
            self._written.setdefault(stream, bytearray()).extend(text.encode("utf-8", "backslashreplace"))

    def read(self, stream: str, offset: int) -> bytes:
        """Return what there is from an offset on."""
        with self._lock:
            return bytes(self._written.get(stream, b"")[offset:])

    def tails(self, size: int) -> dict[str, bytes]:
        """Return the end of each stream that something was written to, of this size at most."""
        return {stream: bytes(written[-size:]) for stream, written in self._written.items()}


_current: ContextVar[Capture | None] = ContextVar("anyjob_dask_capture", default=None)


class _CapturedStream:
    """Replaces ``sys.stdout`` or ``sys.stderr``: the text of a call goes to its capture."""

    def __init__(self, stream: str, real: Any) -> None:
        self._stream = stream
        self._real = real

    def write(self, text: str) -> int:
        capture = _current.get()
        if capture is None:
            return int(self._real.write(text))
        capture.write(self._stream, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


_install_lock = threading.Lock()


def _install() -> None:
    """Replace the streams of this process, once."""
    if isinstance(sys.stdout, _CapturedStream) and isinstance(sys.stderr, _CapturedStream):
        return
    with _install_lock:
        for stream in STREAMS:
            if not isinstance(getattr(sys, stream), _CapturedStream):
                setattr(sys, stream, _CapturedStream(stream, getattr(sys, stream)))

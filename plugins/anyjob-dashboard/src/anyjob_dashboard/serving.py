"""Serves the application on loopback, or on a socket that is the user's alone, until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from anyjob import StateError

HOST = "127.0.0.1"
GRACE = 1
"""Seconds that what is being answered has, once it is stopped."""


@contextmanager
def listening_on_port(port: int) -> Iterator[socket.socket]:
    """Listen on a port of loopback; 0: on any that is free.

    Raises:
        StateError: somebody else listens there, or may only.
    """
    with socket.socket(socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError as error:
            raise StateError(
                f"cannot listen on port {port} of {HOST}: {error.strerror}: another dashboard, or another "
                "program, may be there; give another --port, or none, and a free one is taken"
            ) from error
        yield listener


@contextmanager
def listening_on_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a socket in the file system, which only this user can connect to.

    Raises:
        StateError: another dashboard is there, or something else, or it cannot be made.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            _remove_what_is_left(path)
            before = os.umask(0o177)
            try:
                listener.bind(str(path))
            finally:
                os.umask(before)
            listener.listen()
        except OSError as error:
            raise StateError(
                f"cannot listen on the socket {path}: {error.strerror or error}: name a path in a directory "
                "of yours, of 100 characters at most"
            ) from error
        try:
            yield listener
        finally:
            with suppress(OSError):
                path.unlink()


def _remove_what_is_left(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise StateError(f"{path} is there already, and is no socket: name another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # its program has ended
            return
    raise StateError(f"another program listens on the socket {path}: stop that one, or name another path")


class Server(uvicorn.Server):
    """Ends by itself when it is told to stop, so that whoever serves can clean up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the wish to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """Have it end, soon."""
        self.should_exit = True


def serve(app: ASGIApp, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal says to stop; call ``ready`` once that has begun."""
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
        ws="none",
    )
    ready()
    Server(config).run(sockets=[listener])

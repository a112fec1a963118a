"""Unix sockets for the processes of one user: to listen, to accept, to connect, to know who the peer is."""

from __future__ import annotations

import os
import socket
import struct

from anyjob.errors import StateError

SUPERVISOR_SOCKET = "supervisor.sock"
KEEPER_SOCKET = "keeper.sock"
RUNTIME_RECORD = "runtime"
"""The file that says where these are, of which state directory, and which inode that has its files in; NUL
bytes stand between."""
CONNECT = 10.0
"""Seconds that a listener may take to accept: one that was stopped never does."""


def listen(path: str | os.PathLike[str]) -> socket.socket:
    """Listen on a socket that only this user may use; a stale one is replaced. The caller holds the lock.

    Raises:
        StateError: that is not possible.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise StateError(f"cannot listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    listener.listen(256)
    listener.setblocking(False)
    return listener


def accept(listener: socket.socket) -> tuple[socket.socket, int] | None:
    """Accept a connection, and return it with the pid of who made it; None where that is another user."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return None
    pid = peer(connection)
    if pid is None:
        connection.close()
        return None
    connection.setblocking(False)
    return connection, pid


def connect(path: str | os.PathLike[str]) -> socket.socket | None:
    """Connect to a socket of ours; None where nobody listens.

    Raises:
        StateError: another user serves it.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT)
    try:
        connection.connect(os.fspath(path))
        connection.settimeout(None)
        pid = peer(connection)
    except OSError:
        connection.close()
        return None
    if pid is None:
        connection.close()
        raise StateError(f"the socket {path} is served by another user: it is not used")
    return connection


def peer(connection: socket.socket) -> int | None:
    """Return the pid of the process at the other end; None where it is another user's."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid) if uid == os.getuid() else None

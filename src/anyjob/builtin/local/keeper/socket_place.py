"""Where the keeper listens: a directory that may go with its user's session, and be made elsewhere."""

from __future__ import annotations

import os

from anyjob.builtin.local.ipc.sockets import KEEPER_SOCKET, listen
from anyjob.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


class SocketPlace:
    """Where supervisors look for the keeper.

    Args:
        record: the file that says in which directory.
        runtime: the directory at first.
    """

    def __init__(self, record: str, runtime: str) -> None:
        self._record = record
        self._path = os.path.join(runtime, KEEPER_SOCKET)

    def listen(self) -> socket.socket:
        """Listen there."""
        return listen(self._path)

    def listen_anew(self) -> socket.socket | None:
        """Listen where supervisors look by now; None where that is as before, or there is no such place yet.

        Raises nothing: it is tried again.
        """
        if os.path.lexists(self._path):
            return None
        try:
            with open(self._record, "rb") as stream:
                runtime = os.fsdecode(stream.read().partition(b"\0")[0])
            found = os.stat(runtime)
            if found.st_uid != os.getuid() or found.st_mode & 0o022:
                return None
            listener = listen(os.path.join(runtime, KEEPER_SOCKET))
        except (OSError, StateError):
            return None
        self._path = os.path.join(runtime, KEEPER_SOCKET)
        return listener

    def remove(self) -> None:
        """Nobody listens there any more."""
        try:
            os.unlink(self._path)
        except OSError:
            return

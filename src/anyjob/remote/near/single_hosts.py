"""Connections to single hosts, where one name stands for several: what lives on one is asked for there."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from anyjob.errors import BackendError
from anyjob.remote.near.channel import Channel
from anyjob.remote.near.connection import Connection

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")


def is_name(host: str) -> bool:
    """Tell whether what a host is said to be called is a name, and nothing that a program takes for more."""
    return _NAME.fullmatch(host) is not None


class SingleHosts:
    """Asks hosts by what they call themselves.

    Args:
        open_channel: opens a channel to one.
    """

    def __init__(self, open_channel: Callable[[str], Channel]) -> None:
        self._open_channel = open_channel
        self._lock = threading.Lock()
        self._known: dict[str, Connection] = {}

    def ask(self, host: str, word: str, body: Any) -> Any:
        """Ask one host.

        Args:
            host: as another host has called it.
            word: what is asked.
            body: what goes with that.

        Raises:
            BackendError: it cannot be asked, or is not who it was said to be.
        """
        with self._lock:
            if host not in self._known:
                self._known[host] = Connection(partial(self._open_channel, host))
            connection = self._known[host]
        answer = connection.ask(word, body)
        if answer.elsewhere:
            raise BackendError(
                f"its jobs are those of host {host}, which alone can do that, and the way to that leads to "
                f"{connection.hello().host}"
            )
        return answer

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._known.values():
                connection.close()

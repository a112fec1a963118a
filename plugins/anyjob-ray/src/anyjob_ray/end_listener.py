"""Hears of the end of a job from its worker itself, ahead of Ray, which takes a millisecond or two.

The worker sends a datagram, with what came of the job if that is small. One that gets lost, or is not let
through, costs nothing: Ray tells all ends, too. What is heard is signed with a key that only the jobs of
this process have been given.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

DIGEST = "sha256"
SIGNED = 32
"""Bytes of a signature, with which a datagram begins."""
SMALL = 1200
"""Bytes of a datagram that passes any network in one piece."""


class Address(NamedTuple):
    """Where a process hears.

    Args:
        host: its address in the cluster.
        port: of UDP.
        key: what it believes.
    """

    host: str
    port: int
    key: bytes


class EndListener:
    """Hears, in a thread of its own.

    Args:
        host: the address of this machine in the cluster.
        heard: called with the id of a job and what came of it, pickled.

    Raises:
        OSError: this machine does not have that address.
    """

    def __init__(self, host: str, heard: Callable[[str, bytes], None]) -> None:
        self._socket = _socket(host)
        self._socket.bind((host, 0))
        self.address = Address(host, self._socket.getsockname()[1], secrets.token_bytes(SIGNED))
        self._heard = heard
        self._closed = False
        threading.Thread(target=self._listen, name="anyjob-ray-ear", daemon=True).start()

    def _listen(self) -> None:
        with self._socket as heard:
            while not self._closed:
                try:
                    data = heard.recv(SMALL)
                except OSError:  # of one that was sent to close us
                    continue
                said = _verified(self.address.key, data)
                if said is not None:
                    self._heard(*said)

    def close(self) -> None:
        """Hear no more."""
        self._closed = True
        with _socket(self.address.host) as other:
            other.sendto(b"", self.address[:2])


def tell(address: Address, job_id: str, said: bytes) -> None:
    """Tell a process what came of a job, if it can be told in one piece."""
    data = job_id.encode() + b"\0" + said
    if len(data) + SIGNED > SMALL:
        return
    try:
        with _socket(address.host) as ours:
            ours.setblocking(False)
            ours.sendto(hmac.digest(address.key, data, DIGEST) + data, (address.host, address.port))
    except OSError:  # it will hear of it from Ray
        return


def _verified(key: bytes, data: bytes) -> tuple[str, bytes] | None:
    signature, signed = data[:SIGNED], data[SIGNED:]
    if not hmac.compare_digest(signature, hmac.digest(key, signed, DIGEST)):
        return None
    job_id, _, said = signed.partition(b"\0")
    return job_id.decode(), said


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)

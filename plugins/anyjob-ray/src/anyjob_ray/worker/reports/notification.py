"""Datagrams by which a worker notifies a client that a job has ended.

They are signed with a key that only the jobs of that client have been given.
"""

from __future__ import annotations

import hmac
import socket
from typing import NamedTuple

DIGEST = "sha256"
SIGNATURE_SIZE = 32
"""Bytes of a signature, with which a datagram begins."""
MAX_SIZE = 1200
"""Bytes of a datagram that passes any network in one piece."""


class NotifyAddress(NamedTuple):
    """Where a client is notified.

    Args:
        host: its address in the cluster.
        port: of UDP.
        key: with which notifications are signed.
    """

    host: str
    port: int
    key: bytes


def notify(address: NotifyAddress, job_id: str, outcome: bytes) -> None:
    """Send what came of a job, pickled, if that fits into one datagram."""
    data = job_id.encode() + b"\0" + outcome
    if len(data) + SIGNATURE_SIZE > MAX_SIZE:
        return
    try:
        with udp_socket(address.host) as ours:
            ours.setblocking(False)
            ours.sendto(hmac.digest(address.key, data, DIGEST) + data, (address.host, address.port))
    except OSError:  # the client will hear of it from Ray
        return


def verify(key: bytes, datagram: bytes) -> tuple[str, bytes] | None:
    """Return the id of a job and its outcome; None where the datagram was not signed with the key."""
    signature, data = datagram[:SIGNATURE_SIZE], datagram[SIGNATURE_SIZE:]
    if not hmac.compare_digest(signature, hmac.digest(key, data, DIGEST)):
        return None
    job_id, _, outcome = data.partition(b"\0")
    return job_id.decode(), outcome


def udp_socket(host: str) -> socket.socket:
    """Return a socket for datagrams to or from an address."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)

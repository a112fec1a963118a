"""Listens for the datagrams of workers whose jobs have ended: ahead of Ray, which takes a millisecond or two.

One that gets lost, or is not let through, costs nothing: Ray tells of all ends, too.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from anyjob_ray.worker.reports.notification import MAX_SIZE, SIGNATURE_SIZE, NotifyAddress, udp_socket, verify


class NotificationListener:
    """Listens in a thread of its own.

    Args:
        host: the address of this machine in the cluster.
        on_outcome: called with the id of a job and what came of it, pickled.

    Raises:
        OSError: this machine does not have that address.
    """

    def __init__(self, host: str, on_outcome: Callable[[str, bytes], None]) -> None:
        self._socket = udp_socket(host)
        self._socket.bind((host, 0))
        self.address = NotifyAddress(host, self._socket.getsockname()[1], secrets.token_bytes(SIGNATURE_SIZE))
        self._on_outcome = on_outcome
        self._closed = False
        threading.Thread(target=self._listen, name="anyjob-ray-notifications", daemon=True).start()

    def _listen(self) -> None:
        with self._socket as ours:
            while not self._closed:
                try:
                    datagram = ours.recv(MAX_SIZE)
                except OSError:  # of one that was sent to close us
                    continue
                verified = verify(self.address.key, datagram)
                if verified is not None:
                    self._on_outcome(*verified)

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        with udp_socket(self.address.host) as other:
            other.sendto(b"", self.address[:2])

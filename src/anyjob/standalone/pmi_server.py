"""A server of PMI-1, the protocol by which MPICH and what is made of it find the other ranks of a program.

Each rank has one end of a socket, its number in ``PMI_FD``. Lines of ``key=value`` come and go: a rank puts
what others need to reach it, waits for all at a barrier, and gets what others have put.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = {"kvsname_max": 256, "keylen_max": 64, "vallen_max": 1024}


class PmiServer:
    """Serves the ranks of one program, on a thread of its own, as long as this process lives.

    Args:
        count: how many ranks there are.
        aborted: called, on that thread, with a rank that has asked for the end of all, and its exit code.
    """

    def __init__(self, count: int, aborted: Callable[[int, int], object]) -> None:
        self._count = count
        self._aborted = aborted
        # MPICH makes names of it, such as those of shared memory, which a killed job leaves behind.
        self._space = f"anyjob-{os.urandom(8).hex()}"
        pairs = [socket.socketpair() for _ in range(count)]
        self._ours = [ours for ours, _ in pairs]
        self._theirs = [theirs for _, theirs in pairs]
        self._received = [b""] * count
        # All of them are on this machine: so MPI may use shared memory.
        self._values = {"PMI_process_mapping": f"(vector,(0,1,{count}))"}
        self._at_barrier: set[int] = set()

    def end_of(self, rank: int) -> socket.socket:
        """Return the end that a rank is to inherit; `start` closes it here."""
        return self._theirs[rank]

    def variables(self, rank: int) -> dict[bytes, bytes]:
        """Return what a rank finds in its environment."""
        return {
            b"PMI_FD": b"%d" % self._theirs[rank].fileno(),
            b"PMI_RANK": b"%d" % rank,
            b"PMI_SIZE": b"%d" % self._count,
            b"MPI_LOCALRANKID": b"%d" % rank,
            b"MPI_LOCALNRANKS": b"%d" % self._count,
        }

    def start(self) -> None:
        """Serve: those that are to have an end have it."""
        for theirs in self._theirs:
            theirs.close()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for rank, ours in enumerate(self._ours):
                selector.register(ours, selectors.EVENT_READ, rank)
            while selector.get_map():
                for key, _ in selector.select():
                    if not self._receive(key.data):
                        selector.unregister(key.fileobj)

    def _receive(self, rank: int) -> bool:
        """Read once from a rank, and answer what is whole; return False at its end."""
        try:
            data = self._ours[rank].recv(1 << 16)
        except OSError:
            data = b""
        *lines, self._received[rank] = (self._received[rank] + data).split(b"\n")
        for line in lines:
            for receiver, answer in self.answers(rank, parse(line)):
                try:
                    self._ours[receiver].sendall(answer)
                except OSError:
                    continue  # it has ended, and its own end says so
        return bool(data)

    def answers(self, rank: int, said: dict[str, str]) -> list[tuple[int, bytes]]:
        """Return what goes to which rank when one has said something."""
        match said.get("cmd"):
            case "init":
                answer = to_line("response_to_init", pmi_version=1, pmi_subversion=1, rc=0)
            case "get_maxes":
                answer = to_line("maxes", **LIMITS, rc=0)
            case "get_appnum":
                answer = to_line("appnum", appnum=0, rc=0)
            case "get_universe_size":
                answer = to_line("universe_size", size=self._count, rc=0)
            case "get_my_kvsname":
                answer = to_line("my_kvsname", kvsname=self._space, rc=0)
            case "put":
                self._values[said.get("key", "")] = said.get("value", "")
                answer = to_line("put_result", rc=0, msg="success")
            case "get":
                value = self._values.get(said.get("key", ""))
                known = {"rc": -1, "msg": "key_not_found"} if value is None else {"rc": 0, "msg": "success"}
                answer = to_line("get_result", **known, value="unknown" if value is None else value)
            case "barrier_in":
                self._at_barrier.add(rank)
                if len(self._at_barrier) < self._count:
                    return []
                self._at_barrier.clear()
                return [(each, to_line("barrier_out", rc=0)) for each in range(self._count)]
            case "finalize":
                answer = to_line("finalize_ack", rc=0)
            case "abort":
                code = said.get("exitcode", "")
                self._aborted(rank, int(code) & 0xFF if code.isdigit() else 1)
                return []  # it goes on until it is ended
            case other:
                answer = to_line(f"{other}_result", rc=-1, msg="not_supported")
        return [(rank, answer)]


def parse(line: bytes) -> dict[str, str]:
    """Return what a line of ``key=value`` says."""
    words = line.decode("utf-8", "replace").split(" ")
    return {key: value for key, _, value in (word.partition("=") for word in words if word)}


def to_line(command: str, **values: object) -> bytes:
    """Return a line of ``key=value``."""
    return " ".join([f"cmd={command}", *(f"{key}={value}" for key, value in values.items())]).encode() + b"\n"

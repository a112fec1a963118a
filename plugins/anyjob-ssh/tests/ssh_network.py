"""A network of two: this machine, and a network namespace behind a wire that can be cut."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def missing() -> str:
    """Return why there can be none here; empty where there can."""
    if os.geteuid() != 0 or any(shutil.which(program) is None for program in ("ip", "unshare", "nsenter")):
        return "a network of one's own takes root, iproute2 and util-linux"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "network namespaces cannot be made here"


class Wire:
    """A wire between this machine and one that is nowhere else.

    Attributes:
        there: its address, seen from here.
        inside: what is put before a command that is to run there.
    """

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()  # now it is in a namespace of its own
        self._holder.stdout.close()
        pid = self._holder.pid
        self._near, self._far = f"aj{pid}n", f"aj{pid}f"
        subnet = f"10.{random.randint(64, 250)}.{random.randint(0, 255)}"
        self.here, self.there = f"{subnet}.1", f"{subnet}.2"
        self.inside = ("nsenter", f"--net=/proc/{pid}/ns/net")
        self._ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", str(pid))
        for name, address, where in ((self._near, self.here, ()), (self._far, self.there, self.inside)):
            self._ip("address", "add", f"{address}/30", "dev", name, inside=where)
            self._ip("link", "set", name, "up", inside=where)

    def _ip(self, *arguments: str, inside: tuple[str, ...] = ()) -> None:
        subprocess.run([*inside, "ip", *arguments], check=True, capture_output=True)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Have what is sent arrive nowhere, and nobody told so."""
        wrong = ("lladdr", "02:00:00:00:00:01", "nud", "permanent")  # frames for nobody
        self._ip("neigh", "replace", self.there, "dev", self._near, *wrong)
        self._ip("neigh", "replace", self.here, "dev", self._far, *wrong, inside=self.inside)
        try:
            yield
        finally:
            self._ip("neigh", "del", self.there, "dev", self._near)
            self._ip("neigh", "del", self.here, "dev", self._far, inside=self.inside)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Have no link here: the machine knows that it is in no network."""
        self._ip("link", "set", self._near, "down")
        try:
            yield
        finally:
            self._ip("link", "set", self._near, "up")

    def close(self) -> None:
        """Take it away."""
        self._holder.kill()
        self._holder.wait()

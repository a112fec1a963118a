"""Two hosts on one machine, by network namespaces, with a cable between them that can be cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


class TwoHosts:
    """Two hosts, as far as the network is concerned, with a cable between them. One disk serves both.

    Attributes:
        addresses: what each has.
        enter: for each, the command that begins one which runs there.
    """

    addresses = "10.9.0.1", "10.9.0.2"

    def __init__(self) -> None:
        self._names = [f"anyjob-{os.getpid()}-{number}" for number in (1, 2)]
        self.enter = [["ip", "netns", "exec", name] for name in self._names]

    def build(self) -> None:
        """Make them."""
        first, second = self._names
        for name in self._names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "cable", "netns", first, "type", "veth", "peer", "name", "cable", "netns", second)
        for name, address in zip(self._names, self.addresses, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
        self.connect()

    def disconnect(self) -> None:
        """Let nothing pass between them any more; neither is told."""
        ip("-n", self._names[1], "link", "set", "cable", "down")

    def connect(self) -> None:
        """Let everything pass."""
        for name in self._names:
            ip("-n", name, "link", "set", "cable", "up")

    def run(self, program: Path, *arguments: str) -> None:
        """Run a Python program on the first host, and have it find no fault.

        Its arguments are these, the addresses, and the command that begins one which runs on the second.
        A line that it writes, ``disconnect`` or ``connect``, is done, and answered by an empty line: see
        `support.network_outage`.
        """
        command = [*self.enter[0], sys.executable, str(program), *arguments, *self.addresses, *self.enter[1]]
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(TESTS)]))
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": path},
        ) as running:
            assert running.stdin is not None
            assert running.stdout is not None
            try:
                for line in running.stdout:
                    {"disconnect": self.disconnect, "connect": self.connect}[line.strip()]()
                    running.stdin.write("\n")
            except BaseException:
                running.kill()  # it is not waited for
                raise
        assert running.returncode == 0, "it has written to stderr what was wrong"

    def tear_down(self) -> None:
        """Kill what runs there, and remove them."""
        for name in self._names:
            found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for pid in found.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def ip(*arguments: str) -> None:
    """Run ``ip``, which must succeed."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)

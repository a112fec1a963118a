"""A real sshd of our own on the loopback interface, whose sessions have a home of their own."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from anyjob.ledger.store import Ledger
from anyjob.testing.environment.leftover_processes import end_leftovers

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""
SLOTS = 6
STARTS = 20.0
"""Seconds within which a server has to answer."""


def missing() -> str:
    """Return why there can be no server here; empty where there can."""
    if not SSHD or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "there is no sshd: scripts/ssh-up installs it (as root)"
    return ""


class Server:
    """A server, and the configuration of a client that is let in.

    Args:
        directory: where its keys and its users' home are.
        lines: more of its configuration.
        inside: what is put before the command line of its sshd.
        address: where that listens.
        variables: more of the environment of its sessions.
    """

    def __init__(
        self,
        directory: Path,
        *lines: str,
        inside: Sequence[str] = (),
        address: str = "127.0.0.1",
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.state = self.home / "state"
        self.config = directory / "config"
        self.lines = lines
        self.inside, self.address = inside, address
        self.variables = variables
        self.home.mkdir(parents=True)
        self.home.chmod(0o700)
        self.runtime = tempfile.mkdtemp(prefix="anyjob-far-", dir="/tmp")  # sockets need a short path
        self.bin = directory / "bin"  # what the login shell finds there
        self.bin.mkdir()
        program = self.bin / "anyjob"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m anyjob "$@"\n')
        program.chmod(0o755)
        for name in ("host_key", "key"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(directory / name)]
            subprocess.run(keygen, check=True)
        shutil.copy(directory / "key.pub", directory / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        public = (directory / "host_key.pub").read_text().split()[:2]
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text(f"[{address}]:{self.port} {' '.join(public)}\n")
        self.write_config()
        self._daemon: subprocess.Popen[bytes] | None = None
        self.start()

    def write_config(self, **changes: str) -> None:
        """Write the configuration of the client, with some of it changed."""
        values = {
            "HostName": self.address,
            "Port": str(self.port),
            "IdentityFile": str(self.directory / "key"),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.known_hosts),
            "StrictHostKeyChecking": "yes",
            **changes,
        }
        self.config.write_text("Host lab\n" + "".join(f"    {k} {v}\n" for k, v in values.items()))

    def start(self) -> None:
        """Start it, and wait until it says that it listens."""
        path = f"{self.bin}:/usr/local/bin:/usr/bin:/bin"
        environment = (
            f"SetEnv HOME={self.home} PATH={path} ANYJOB_STATE={self.state} XDG_RUNTIME_DIR={self.runtime} "
            f"ANYJOB_BACKENDS__LOCAL__TYPE=local ANYJOB_BACKENDS__LOCAL__SLOTS={SLOTS}"
        ) + "".join(f" {name}={value}" for name, value in self.variables.items())
        (self.directory / "sshd_config").write_text(
            "\n".join(
                (
                    *self.lines,
                    f"ListenAddress {self.address}:{self.port}",
                    f"HostKey {self.directory / 'host_key'}",
                    f"PidFile {self.directory / 'sshd.pid'}",
                    f"AuthorizedKeysFile {self.directory / 'authorized_keys'}",
                    "StrictModes no",
                    "UsePAM no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "PermitRootLogin prohibit-password",
                    "UseDNS no",
                    *([] if "MaxStartups" in " ".join(self.lines) else ["MaxStartups 100"]),
                    "MaxSessions 100",
                    environment,
                )
            )
            + "\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        log = self.directory / "sshd.log"
        with log.open("ab") as file:
            said = file.tell()
            arguments = [*self.inside, SSHD, "-D", "-e", "-f", str(self.directory / "sshd_config")]
            self._daemon = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        deadline = time.monotonic() + STARTS
        # It is not knocked at: under MaxStartups the one who knocks takes a place until sshd sees him gone.
        while b"Server listening on" not in log.read_bytes()[said:]:
            if time.monotonic() > deadline or self._daemon.poll() is not None:
                raise AssertionError(log.read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """Take no more connections; those that there are live on, as those of a real one do."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait()
            self._daemon = None

    def agents(self) -> list[int]:
        """Return the processes of ours that serve somebody here."""
        mark = os.fsencode(f"ANYJOB_STATE={self.state}")
        found = []
        for pid in self._commands(b"\0serve\0"):
            try:
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(pid)
            except OSError:
                pass
        return found

    @staticmethod
    def _commands(words: bytes) -> list[int]:
        """Return the processes whose command line has these words, and that are not about to be gone."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and words in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
        return found

    def kill_agents(self) -> int:
        """Kill those; return how many there were."""
        agents = self.agents()
        for pid in agents:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return len(agents)

    def wait_for_clients_to_go(self) -> None:
        """Wait until each ``ssh`` that was connected has noticed that nobody is there any more."""
        deadline = time.monotonic() + STARTS
        while self._commands(os.fsencode(self.config)):
            assert time.monotonic() < deadline, "an ssh lives on whose server is gone"
            time.sleep(0.02)

    def options(self, **more: Any) -> Mapping[str, Any]:
        """Return the options of a backend that uses it."""
        return {"host": "lab", "config": str(self.config), "backend": "local", **more}

    def anyjob(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program there, as who is logged in does."""
        command = ["ssh", "-F", str(self.config), "lab", shlex.join(["anyjob", *arguments])]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def close(self) -> None:
        """End it, and what runs on the backend ``local`` of its home."""
        self.stop()
        self.kill_agents()
        end_leftovers(self.directory)
        end_leftovers(Path(self.runtime))
        shutil.rmtree(self.runtime, ignore_errors=True)  # it may have been closed before


class Faults:
    """Faults of a machine, as who is logged in from another one sees them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @contextmanager
    def down(self) -> Iterator[None]:
        """Have nobody come in, and whoever was in be out."""
        self._server.stop()
        self._server.kill_agents()
        self._server.wait_for_clients_to_go()
        try:
            yield
        finally:
            self._server.start()

    def forget(self, native_id: str) -> None:
        """Have it know a job no more."""
        self._server.anyjob("cancel", native_id)
        ledger = Ledger(self._server.state)
        ledger.remove([native_id])
        ledger.close()

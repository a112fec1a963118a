"""A real Ray of the tests' own, on this machine, and faults of it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from anyjob_ray.modes.owner_client import ACTOR_NAME

START = 90.0
"""Seconds that a cluster may take to come up, on a machine that has much else to do."""
MEMORY = 200_000_000
SKIPPED = 77
"""The exit code of a program that says why it cannot be tried on this machine."""
TOKEN = secrets.token_hex(32)
"""What a Ray that knows of tokens wants of whoever connects, so that nobody else does."""


def environment() -> dict[str, str]:
    """Return the variables that the cluster, and whoever connects to it, must have."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}


class Cluster:
    """A head node, and what belongs to it; ended with its processes by `stop`.

    Args:
        cpus: how many it says that it has.
        host: the address of the head node; by default, one that Ray finds.
        enter: the command that begins one which runs where the head node is to run.
        config: Ray's own settings of its daemons.
    """

    def __init__(self, cpus: int = 4, host: str = "", enter: Sequence[str] = (), **config: object) -> None:
        # Not below pytest's own directory: Ray's sockets need a short path.
        self.directory = Path(tempfile.mkdtemp(prefix="anyjob-ray-", dir="/tmp"))
        self._log = open(self.directory / "start.log", "wb")  # noqa: SIM115
        options = ["--head", "--port=0", "--block", "--include-dashboard=false", "--disable-usage-stats"]
        options += [f"--num-cpus={cpus}", f"--object-store-memory={MEMORY}", f"--temp-dir={self.directory}"]
        self._process = _start(options + _at(host), self._log, config, enter)
        self.address = self._await_address()

    def _await_address(self) -> str:
        # Ray says that it is started before it writes its address.
        told, deadline = self.directory / "ray_current_cluster", time.monotonic() + START
        while not (told.exists() and (address := told.read_text().strip())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self.directory / "start.log").read_text()
                raise AssertionError(f"ray start does not come up: {log}")
            time.sleep(0.05)
        return address

    @contextmanager
    def another_node(
        self, resource: str, cpus: int = 2, host: str = "", enter: Sequence[str] = ()
    ) -> Iterator[Callable[[], None]]:
        """Inside, there is another node, with a resource of its own; gives what kills it.

        Args:
            resource: its name, of which there is one for each CPU.
            cpus: how many it says that it has.
            host: its address; by default, one that Ray finds.
            enter: the command that begins one which runs there.
        """
        options = [f"--address={self.address}", "--block", "--disable-usage-stats", f"--num-cpus={cpus}"]
        options += [f'--resources={{"{resource}": {cpus}}}', f"--object-store-memory={MEMORY}"]
        process = _start(options + _at(host), self._log, enter=enter)
        try:
            yield lambda: _end(process)
        finally:
            _end(process)

    def workers(self, name: str) -> list[int]:
        """Return the ids of those worker processes that Ray calls so while they make a call."""
        import psutil

        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith(name):
                    found.append(process.pid)
        return found

    def kill(self, pid: int) -> bool:
        """Kill a process, by SIGKILL; return whether it was there."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> None:
        """End the processes of the cluster, which are all below one."""
        _end(self._process)
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def _at(host: str) -> list[str]:
    return [f"--node-ip-address={host}"] if host else []


def _start(
    options: list[str],
    log: IO[bytes],
    config: Mapping[str, object] | None = None,
    enter: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start a node."""
    settings = {f"RAY_{name}": str(value) for name, value in (config or {}).items()}
    return subprocess.Popen(
        [*enter, str(Path(sys.executable).with_name("ray")), "start", *options],
        env={**os.environ, **environment(), **settings},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _end(top: subprocess.Popen[bytes]) -> None:
    """Kill a process, and all below it."""
    import psutil

    try:
        parent = psutil.Process(top.pid)
        processes = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        processes = []
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    top.wait(20)


class OwnerFaults:
    """What can befall the task owner of durable jobs.

    Args:
        namespace: where it lives.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def _owner(self) -> Any:
        import ray

        return ray.get_actor(ACTOR_NAME, namespace=self._namespace)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Inside, the task owner does not answer."""
        import ray

        owner = self._owner()  # held, since its methods do not hold it
        pid = ray.get(owner.pid.remote())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def forget(self, native_id: str) -> None:
        """Have the task owner know nothing of a job."""
        import ray

        owner = self._owner()
        ray.get(owner.forget.remote([native_id]))

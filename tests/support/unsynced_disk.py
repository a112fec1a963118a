"""A disk that loses what was not synced, in place of one whose power fails: see ``unsynced_disk.c``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running_local import SOURCE, TESTS

from anyjob.builtin.local.ipc.sockets import connect
from anyjob.builtin.local.paths import RuntimePaths, program_environment
from anyjob.testing.environment.leftover_processes import end_leftovers
from support.waiting import wait_until


class UnsyncedDisk:
    """Processes whose syncs below a directory are recorded; all else is gone after `fail`.

    Args:
        root: a directory, with the state directory ``state`` in it.
        shadow: another directory, for what is recorded.
    """

    def __init__(self, root: Path, shadow: Path) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None or sys.platform != "linux":
            pytest.skip("needs a compiler of C, and Linux")
        self.root, self.shadow = root, shadow
        root.mkdir()
        shadow.mkdir()
        library = shadow / "unsynced_disk.so"
        source = Path(__file__).with_suffix(".c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
        self.variables = {"LD_PRELOAD": str(library), "SHADOW": str(shadow), "SHADOW_ROOT": str(root)}
        self.paths = RuntimePaths(root / "state")
        self._processes: list[subprocess.Popen[str]] = []

    def start(self) -> None:
        """Start keeper and supervisor: those that clients start have not all of their variables."""
        environment = {**program_environment(), **self.variables}
        supervisor = [sys.executable, *self.paths.arguments("supervisor")]
        keeper = [sys.executable, *self.paths.arguments("keeper"), "--supervisor", json.dumps(supervisor)]
        self._processes.append(subprocess.Popen(keeper, env=environment, text=True))
        wait_until(lambda: _listens(self.paths.keeper_socket), "a keeper")
        subprocess.run(supervisor, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def client(self, code: str, **variables: str) -> subprocess.Popen[str]:
        """Start a program with a `local` backend that is ``durability = "full"``, as ``backend``."""
        head = "import os; from pathlib import Path; from running_local import Local; from anyjob import *\n"
        head += f"local = Local(Path({str(self.root)!r}), durability='full'); backend = local.backend\n"
        path = os.pathsep.join([str(SOURCE), str(TESTS)])
        environment = {**os.environ, "PYTHONPATH": path, **self.variables, **variables}
        client = subprocess.Popen(
            [sys.executable, "-c", head + code],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._processes.append(client)
        return client

    def synced(self, log: str = "log") -> list[str]:
        """Return what was synced by now, or by a copy of the log, in that order, as paths below the root."""
        return [os.path.relpath(path, self.root) for path in (self.shadow / log).read_text().splitlines()]

    def end(self) -> None:
        """End all that was started here."""
        for process in self._processes:
            process.kill()
        end_leftovers(self.paths.state)
        for process in self._processes:
            process.communicate()
        self._processes.clear()

    def fail(self) -> None:
        """The power fails: all processes are gone, and all that was not synced."""
        self.end()
        shutil.rmtree(self.root)
        self._restore(self._listing(self.root), self.root)

    def _listing(self, directory: Path) -> Path:
        for path in self.shadow.iterdir():
            if "-" in path.name and path.read_bytes().startswith(os.fsencode(directory) + b"\n"):
                return path
        raise AssertionError(f"{directory} was not synced")

    def _restore(self, listing: Path, directory: Path) -> None:
        directory.mkdir(0o700)
        if not listing.exists():
            return
        for line in listing.read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]:
            kind, key, name, target = line.split("\t")
            if kind == "d":
                self._restore(self.shadow / key, directory / name)
            elif kind == "l":
                (directory / name).symlink_to(target)
            elif kind == "f":
                synced = self.shadow / key
                (directory / name).write_bytes(synced.read_bytes() if synced.exists() else b"")
                (directory / name).chmod(0o600)


def _listens(path: Path) -> bool:
    connection = connect(path)
    if connection is not None:
        connection.close()
    return connection is not None

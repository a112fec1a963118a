"""A state directory with backends of several engines in it, for jobs that start after others across these."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from right_backend import RightEngine

import anyjob
from anyjob import Command, Session
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.session.default import default_session
from anyjob.testing.environment.leftover_processes import leftovers
from support import distributions

TESTS = Path(__file__).resolve().parents[1]


class World:
    """A state directory, an engine beside it, and what runs for them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.engine = RightEngine(root / "engine")
        self.paths = RuntimePaths(self.state)
        self.ran = root / "ran"
        self.gate = root / "gate"

    @property
    def session(self) -> Session:
        return default_session()

    def work(self, name: str, code: int = 0, *, gated: bool = False) -> Command:
        """A program that writes its name where `runs` counts it."""
        wait = f"until [ -e '{self.gate}' ]; do sleep 0.02; done; " if gated else ""
        return Command(["sh", "-c", f"{wait}echo {name} >> '{self.ran}'; exit {code}"])

    def runs(self) -> list[str]:
        return self.ran.read_text().splitlines() if self.ran.exists() else []

    def releasers(self) -> list[int]:
        pids = [lock_holder(path) for path in self.paths.logs.glob("releaser-*.lock")]
        return [pid for pid in pids if pid is not None]

    def kill(self, *pids: int | None) -> None:
        for pid in pids:
            assert pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill what is ours: all that runs for the state directory but the engine."""
        self.kill(*leftovers(self.state))

    def client(self, code: str) -> None:
        """Run a client that is killed when it has submitted."""
        head = (
            "import os\nfrom anyjob import *\n"
            "def work(name, wait=''):\n"
            f"    return Command(['sh', '-c', wait + f\"echo {{name}} >> '{self.ran}'\"])\n"
            f"gated = \"until [ -e '{self.gate}' ]; do sleep 0.02; done; \"\n"
        )
        done = subprocess.run([sys.executable, "-c", head + code + "\nos.kill(os.getpid(), 9)"], check=False)
        assert done.returncode == -signal.SIGKILL


@contextlib.contextmanager
def several_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Have the default session know ``right`` and ``dying``, engines of another kind, beside ``local``."""
    site = tmp_path / "site"
    distributions.install(
        site,
        "anyjob-right",
        groups={
            "anyjob.api": {"v1": "right_backend"},
            "anyjob.backends": {
                "right": "right_backend:RightBackend",
                "dying": "dying_backend:DyingBackend",
            },
        },
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(TESTS)]))
    (tmp_path / "engine").mkdir()
    # On a busy machine it may take a while from the ledger to the engine: a job is not lost meanwhile.
    monkeypatch.setenv("RIGHT_GRACE", "20")
    monkeypatch.setattr("right_backend.RightBackend.grace", 20.0)
    monkeypatch.setenv("ANYJOB_STATE", str(tmp_path / "state"))
    for name in ("right", "dying"):
        monkeypatch.setenv(f"ANYJOB_BACKENDS__{name.upper()}__TYPE", name)
        monkeypatch.setenv(f"ANYJOB_BACKENDS__{name.upper()}__DIRECTORY", str(tmp_path / "engine"))
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    anyjob.set_default_session(None)
    made = World(tmp_path)
    try:
        yield made
    finally:
        made.engine.stop()

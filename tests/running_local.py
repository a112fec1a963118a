"""A `local` backend of a test's own, and whatever it has started."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.waiting import wait_until

import anyjob
from anyjob import Config, Registry, Session
from anyjob.builtin.local.backend import LocalBackend
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.process_table import Snapshot
from anyjob.errors import AnyjobError

SOURCE = Path(__file__).resolve().parents[1] / "src"
TESTS = Path(__file__).resolve().parent
LIMIT = 60.0


class Local:
    """A session with a state directory of its own; backend ``local`` has two slots."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.state = root / "state"
        self.options = {"type": "local", "slots": 2, **options}
        self.session = self.another()
        self.paths = RuntimePaths(self.state)

    def another(self) -> Session:
        """A session on the same state, as another process has it."""
        registry = Registry()
        registry.register_backend("local", LocalBackend)
        return Session(Config.from_dict({"backends": {"local": self.options}}), registry, self.state)

    @property
    def fifo(self) -> str:
        """A pipe with a name, which a job waits at."""
        path = self.root / "fifo"
        if not path.exists():
            os.mkfifo(path)
        return str(path)

    @property
    def backend(self) -> Any:
        return self.session.get_backend("local")

    @property
    def supervisor(self) -> int | None:
        return lock_holder(self.paths.supervisor_lock)

    @property
    def keeper(self) -> int | None:
        return lock_holder(self.paths.keeper_lock)

    def kill(self, who: str) -> int:
        pid = getattr(self, who)
        assert pid is not None, f"there is no {who}"
        os.kill(pid, signal.SIGKILL)
        until(lambda: getattr(self, who) != pid, f"{who} {pid} is dead")
        return int(pid)

    def marked(self) -> list[int]:
        """The processes that carry our mark: jobs and zygotes."""
        snapshot = Snapshot()
        marks = {pid: snapshot.mark(pid) for pid in snapshot.processes}
        return [pid for pid, mark in marks.items() if mark is not None and mark.keeper == str(self.state)]

    def program(self, code: str, *, python: str = sys.executable, **variables: str) -> subprocess.Popen[str]:
        """Another process, with ``local`` in it: what makes a session like ours."""
        head = "from running_local import Local; from pathlib import Path\n"
        head += f"local = Local(Path({str(self.root)!r}))\n"
        path = os.pathsep.join([str(SOURCE), str(TESTS)])
        return subprocess.Popen(
            [python, "-c", head + code],
            env={**os.environ, "PYTHONPATH": path, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def errors(self) -> str:
        return "\n".join(path.read_text() for path in self.paths.logs.glob("*.err"))

    def close(self) -> None:
        """Have everything end, as it does when it is idle, and see that nothing is left."""
        self.session.close()
        if self.keeper and not self.supervisor:  # it was killed
            with self.another() as other:
                other.get_backend("local")._client.open()
        deadline = time.monotonic() + LIMIT
        while (supervisor := self.supervisor) or self.keeper or self.marked():
            assert time.monotonic() < deadline, (
                f"still there: {self.keeper}, {self.marked()}\n{self.errors()}"
            )
            if supervisor:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(supervisor, signal.SIGTERM)
            time.sleep(0.01)


until = functools.partial(wait_until, timeout=LIMIT)


@contextlib.contextmanager
def running(root: Path, **options: Any) -> Iterator[Local]:
    """A `local` backend that has nothing left running at the end."""
    local = Local(root, **options)
    try:
        yield local
        jobs = local.session.jobs()
        for job in jobs:
            job.cancel()
        with contextlib.suppress(AnyjobError):
            # A supervisor that ends before it has heard of that is started anew by the keeper, and again.
            anyjob.wait(jobs, timeout=5)
        local.close()
    finally:
        for pid in [local.supervisor, local.keeper, *local.marked()]:
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

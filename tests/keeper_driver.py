"""Drives a real keeper over its socket, as the supervisor does."""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.waiting import wait_until

from anyjob.builtin.local import process_table
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.keeper.log.lines import ReplayedLog, replay
from anyjob.builtin.local.keeper.processes import memory_groups
from anyjob.builtin.local.supervisor.keepers.dead_keeper import kill_leftovers
from anyjob.spool import environment_file

SOURCE = str(Path(__file__).resolve().parents[1] / "src")
TESTS = str(Path(__file__).resolve().parent)
LIMIT = 60.0


class KeeperDriver:
    """A keeper of its own, and the connection to it."""

    def __init__(self, root: Path, *more: str) -> None:
        self.state, self.runtime = root / "state", root / "run"
        for directory in (self.state, self.runtime, self.state / "spool"):
            directory.mkdir(mode=0o700, exist_ok=True)
        self.logs = self.state / "hosts" / os.uname().nodename
        self.socket = self.runtime / "keeper.sock"
        self.more = more
        self.held: list[int] = []
        self.started: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, dict[str, Any]] = {}
        self.others: list[dict[str, Any]] = []
        self.hello: dict[str, Any] = {}
        self.keeper = self.launch()
        self.connect()

    program: tuple[str, ...] = ("-m", "anyjob.builtin.local.keeper.main")

    def launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, *self.program]
        places = ["--state", str(self.state), "--runtime", str(self.runtime), *self.more]
        return subprocess.Popen(
            [*command, *places], env={**os.environ, "PYTHONPATH": SOURCE}, start_new_session=True
        )

    def connect(self) -> None:
        until(
            lambda: self._connected(str(self.socket)) or self.keeper.poll() is not None, "the keeper listens"
        )
        self.wait(lambda: bool(self.hello), "hello")

    def _connected(self, path: str) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            return False
        self.hello = {}
        self.frames = FrameSocket(connection, together=True)
        self.connection = connection
        return True

    def send(self, **message: Any) -> None:
        self.frames.send(message)
        self.flush()

    def flush(self) -> None:
        while not self.frames.flush():
            self.pump()

    def order(self, job: str, work: dict[str, Any], **more: Any) -> None:
        self.frames.send(
            {
                "op": "start",
                "id": job,
                "attempt": 1,
                "spool": str(self.state / "spool" / job),
                "cwd": b"/",
                "environment": None,
                "extra": {},
                "walltime": None,
                "grace": 5.0,
                "work": work,
                **more,
            }
        )
        self.flush()

    def spawn(self, job: str, *argv: str | bytes, stdin: str | None = None, **more: Any) -> None:
        self.order(job, {"kind": "command", "argv": [os.fsencode(a) for a in argv], "stdin": stdin}, **more)

    def call(self, job: str, fn: Any, *args: Any, preload: list[str] | None = None, **more: Any) -> None:
        work = {
            "kind": "call",
            "python": more.pop("python", sys.executable),
            "path": more.pop("path", [TESTS, *sys.path]),
            "preload": preload or [],
            "recycle": more.pop("recycle", 0),
            "shared": pickle.dumps(fn),
            "payload": pickle.dumps((args, {})),
            "payload_file": None,
        }
        self.order(job, work, **more)

    def assert_cannot_start(self, code: int, said: str, **more: Any) -> None:
        """Make two calls, and see both fail to start, with this exit code and these words."""
        for job in "ab":
            self.call(job, operator.add, 1, 2, **more)
        self.end_of("a", "b")
        for job in "ab":
            event = self.ended[job]
            assert (event["code"], event["cause"]) == (code, "start-failed")
            assert said in event["message"]

    def fifo(self, name: str = "fifo") -> str:
        """A pipe with a name, which a job waits at."""
        path = self.state / name
        os.mkfifo(path)
        self.held.append(os.open(path, os.O_RDWR))  # so that no open waits for the other side
        return str(path)

    def kill(self, job: str, grace: float = 5.0) -> None:
        self.send(op="terminate", id=job, attempt=1, cause="cancel", grace=grace)

    def pump(self, timeout: float = 1.0) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.frames, selectors.EVENT_READ)
            if not selector.select(timeout):
                return
        for message in self.frames.receive():
            if message["op"] == "hello":
                self.hello = message
            elif message["op"] == "started":
                self.started[message["id"]] = message
            elif message["op"] == "ended":
                assert message["id"] not in self.ended, "an end is told once"
                self.ended[message["id"]] = message
                if message["pid"] is not None:  # that tells of its start, too
                    self.started.setdefault(message["id"], message)
            else:
                self.others.append(message)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline, f"not within {LIMIT} s: {what}\n{self.errors()}"
            self.pump()

    def end_of(self, *jobs: str) -> dict[str, Any]:
        self.wait(lambda: all(job in self.ended for job in jobs), f"the end of {jobs}")
        return self.ended[jobs[-1]]

    def start_of(self, job: str) -> int:
        self.wait(lambda: job in self.started, f"the start of {job}")
        return int(self.started[job]["pid"])

    def text(self, job: str, name: str = "stdout") -> str:
        return (self.state / "spool" / job / name).read_text()

    def said(self, job: str) -> dict[str, Any]:
        if told := self.ended[job]["report"]:
            return dict(pickle.loads(told))
        with open(self.state / "spool" / job / "outcome.pkl", "rb") as stream:
            said: dict[str, Any] = pickle.load(stream)
        return said

    def value(self, job: str) -> Any:
        return pickle.loads(self.said(job)["value"])

    def log(self) -> ReplayedLog:
        return replay((self.logs / "keeper.log").read_bytes())

    def errors(self) -> str:
        try:
            return (self.logs / "keeper.err").read_text()
        except FileNotFoundError:
            return ""

    def marked(self) -> list[int]:
        """The processes that carry our mark, zygotes among them."""
        snapshot = process_table.Snapshot()
        marks = {pid: snapshot.mark(pid) for pid in snapshot.processes}
        return [pid for pid, mark in marks.items() if mark is not None and mark.keeper == str(self.state)]

    def zygotes(self) -> list[int]:
        snapshot = process_table.Snapshot()
        found = []
        for pid, process in snapshot.processes.items():
            mark = snapshot.mark(pid)
            ours = mark is not None and mark.is_zygote and mark.keeper == str(self.state)
            # A child, ours since its zygote was killed, has that one's mark and session until it runs.
            if ours and process.parent == self.keeper.pid and process.session == pid:
                found.append(pid)
        return found

    def workers(self) -> list[int]:
        """The processes that have made calls, and are there for others, or make one."""
        zygotes = self.zygotes()
        return [p.pid for p in process_table.Snapshot().with_descendants(zygotes) if p.pid not in zygotes]

    def environment(self, **variables: str | bytes) -> str:
        path = self.state / f"environment-{len(list(self.state.iterdir()))}"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
            stream.write(
                environment_file.encode({os.fsencode(k): os.fsencode(v) for k, v in variables.items()})
            )
        return str(path)

    def close(self) -> None:
        """Have the keeper end by itself, and see that nothing is left."""
        if self.keeper.poll() is None:
            self.send(op="stop")
            self.keeper.wait(LIMIT)
        self.connection.close()
        until(lambda: not self.marked(), f"nothing is left running: {self.marked()}")

    def kill_keeper(self) -> None:
        self.keeper.send_signal(signal.SIGKILL)
        self.keeper.wait(LIMIT)


until = functools.partial(wait_until, timeout=LIMIT)


@contextlib.contextmanager
def running_keeper(
    root: Path, *more: str, driven: type[KeeperDriver] = KeeperDriver
) -> Iterator[KeeperDriver]:
    """A keeper that is gone at the end, and all that it has started with it."""
    driver = driven(root, *more)
    try:
        yield driver
        driver.close()
    finally:
        if driver.keeper.poll() is None:
            driver.kill_keeper()
        driver.connection.close()
        for descriptor in driver.held:
            os.close(descriptor)
        kill_leftovers(driver.log(), driver.state)
        assert not memory_groups.sweep(driver.state, driver.logs)

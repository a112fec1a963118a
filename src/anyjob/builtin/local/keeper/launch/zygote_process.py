"""A zygote as the keeper sees it: its process, the connection to it, and the calls that it was sent."""

from __future__ import annotations

import os
import signal
import socket
import time
from pkgutil import get_data

import anyjob
from anyjob.builtin.local import process_table
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.execution.interpreter import MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.keeper.launch.environments import Environment
    from anyjob.builtin.local.keeper.launch.program import Spawner
    from anyjob.builtin.local.keeper.launch.worker_process import WorkerProcess


_OURS = os.path.dirname(os.path.abspath(anyjob.__file__))


class _Source:
    """A file of ours that zygotes run; it may be in an archive, or be removed while this keeper lives."""

    def __init__(self, package: str, name: str) -> None:
        self._path = os.path.join(_OURS, *package.split(".")[1:], name)
        self._found = self._look()
        self._text = get_data(package, name) or b""
        self._copy: int | None = None

    def path(self) -> str:
        """Return a path where it is as it was when the keeper started."""
        if self._found is not None and self._look() == self._found:
            return self._path
        if self._copy is None:
            self._copy = os.memfd_create("anyjob")
            with open(self._copy, "wb", closefd=False) as stream:
                stream.write(self._text)
        return f"/proc/{os.getpid()}/fd/{self._copy}"

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:  # it is in an archive, or gone
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns


_PROGRAM = _Source("anyjob.builtin.local.zygote", "main.py")
_CHILD = _Source("anyjob.builtin.local.zygote", "child.py")
_WORKER = _Source("anyjob.builtin.local.zygote", "worker.py")
_RUNNER = _Source("anyjob.standalone", "runner.py")
_PADDING = 512
"""Bytes that the mark of a zygote is longer than its state directory: those of its children go there."""


class ZygoteProcess:
    """One zygote, and the calls that were sent to it and have not ended.

    Args:
        key: what its environment is known by.
        work: the ``work`` of a call: ``python``, ``path``, ``preload``.
        environment: what it gets of the process that submitted.
        state: the keeper's state directory, which it is marked with.
        spawner: what starts it.

    Raises:
        StartFailed: its interpreter cannot be started.
    """

    def __init__(
        self,
        key: Any,
        work: Mapping[str, Any],
        environment: Environment,
        state: bytes,
        spawner: Spawner,
    ) -> None:
        self.key = key
        self.jobs: dict[int, Job] = {}
        self.workers: dict[int, WorkerProcess] = {}
        self.idle_workers: list[WorkerProcess] = []
        self.is_ready = False
        self.is_closed = False
        self.failure = ""
        self.idle_since = time.monotonic()
        self.python = os.fsdecode(work["python"])
        self._stderr: int | None = os.memfd_create("stderr")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._channels, channels = socket.socketpair()
        self._channels.setblocking(False)
        argv = [self.python, "-P", _PROGRAM.path(), "3", _RUNNER.path(), _CHILD.path(), str(os.getpid())]
        argv.append(_WORKER.path())
        marked = {
            **environment.variables,
            os.fsencode(MARK): b"1",
            process_table.ZYGOTE: state.ljust(len(state) + _PADDING, b"/"),
        }
        try:
            streams = (spawner.null, 1, self._stderr, theirs.fileno(), channels.fileno())
            words = [os.fsencode(word) for word in argv]
            self.pid = spawner.spawn(words, marked, streams, environment.attributes)
        except BaseException:
            ours.close()
            self._channels.close()
            self._close_stderr()
            raise
        finally:
            theirs.close()
            channels.close()
        self.frames = FrameSocket(ours)

    @property
    def is_usable(self) -> bool:
        """Whether it may be sent calls, as far as we know."""
        return not (self.is_closed or self.failure)

    def has_started(self) -> None:
        """It has reported that it is ready: what it writes from now on is no reason for not starting."""
        self.is_ready = True
        self._close_stderr()

    def pass_files(self, descriptors: list[int]) -> None:
        """Have it receive the files of a worker, before it hears of the worker.

        Raises:
            OSError: it takes no more of them now.
        """
        try:
            socket.send_fds(self._channels, [b"c"], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died, of which its own end tells

    def remove(self, job: Job) -> None:
        """Forget a call: it has ended, or goes to another zygote."""
        self.jobs.pop(job.dispatch_id, None)
        if not self.jobs:
            self.idle_since = time.monotonic()

    def start_failure(self, code: int) -> str:
        """Return why it did not start, from its exit code and what it wrote; empty where it was killed."""
        if self.failure or self.is_ready or code < 0:
            return self.failure
        written = b""
        if self._stderr is not None:
            size = os.fstat(self._stderr).st_size
            written = os.pread(self._stderr, 2000, max(0, size - 2000))
        text = written.decode("utf-8", "replace").strip()
        return f"cannot start: {self.python} ended with exit code {code} before it could run calls: {text}"

    def kill(self) -> None:
        """End it; the caller reaps it."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Let go of what we hold of it."""
        self.is_closed = True
        self.frames.close()
        self._channels.close()
        self._close_stderr()

    def _close_stderr(self) -> None:
        if self._stderr is not None:
            os.close(self._stderr)
            self._stderr = None


def call_order(job: Job) -> dict[str, Any]:
    """Return what a zygote is told of a call; see `anyjob.builtin.local.zygote.main`."""
    work = job.work
    return {
        "dispatch_id": job.dispatch_id,
        "id": job.id,
        "attempt": job.attempt,
        "claim": job.claim,
        "spool": job.spool,
        "cwd": job.cwd,
        "variables": {**job.extra, **job.marks},
        "mark": job.mark,
        "durable": job.durable,
        "has_directory": job.has_directory,
        "group": job.group,
        "shared": work.get("shared"),
        "payload": work.get("payload"),
        "payload_file": work.get("payload_file"),
        "results": work.get("results"),
        "goes_on": job.attempt > 1,
        "is_warned": job.warning_due is not None,
    }


def claim_for_keeper(job: Job) -> int | None:
    """Claim a call's directory for the keeper, so that no child can run it any more.

    Returns:
        None where that was possible: it has not run, and does not. Otherwise the pid of the child
        that has it.

    Raises:
        OSError: it cannot be told now.
    """
    try:
        os.symlink("keeper", job.claim)
    except FileExistsError:
        holder = os.readlink(job.claim)
        return int(holder) if holder.isdigit() else None
    return None

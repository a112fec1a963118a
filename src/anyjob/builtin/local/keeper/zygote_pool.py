"""The keeper's side of its zygotes: one for each kind of environment that calls run in."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import time

from anyjob.builtin.local import process_table
from anyjob.builtin.local.frames import FrameSocket
from anyjob.builtin.local.keeper import launching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anyjob.builtin.local.keeper.jobs import Job

KEPT = 8
"""Zygotes that are kept though they have nothing to do."""
TRIES = 25
"""Zygotes that are tried for one call, where each is killed before it has forked."""
_HERE = os.path.dirname(os.path.abspath(__file__))
_LOCAL = os.path.dirname(_HERE)
_PROGRAM = os.path.join(_LOCAL, "zygote.py")
_RUNNER = os.path.join(os.path.dirname(os.path.dirname(_LOCAL)), "execution", "runner.py")
_ROOM = 512
"""Bytes that the mark of a zygote is longer than its state directory: those of its children go there."""


class Zygote:
    """One zygote, and the calls that were sent to it and have not ended.

    Args:
        key: what its environment is known by.
        what: the ``what`` of a call: ``python``, ``path``, ``preload``.
        variables: its environment.
        state: the keeper's state directory, which it is marked with.
        descriptors: of /dev/null, and of what its stdout goes to.
        ignored: signals that we ignore and it should not.

    Raises:
        StartFailed: its interpreter cannot be started.
    """

    def __init__(
        self,
        key: Any,
        what: Mapping[str, Any],
        variables: Mapping[bytes, bytes],
        state: bytes,
        descriptors: tuple[int, int],
        ignored: list[int],
    ) -> None:
        self.key = key
        self.jobs: dict[int, Job] = {}
        self.ready = False
        self.closed = False
        self.failure = ""
        self.idle_since = time.monotonic()
        self.python = os.fsdecode(what["python"])
        self._errors: int | None = os.memfd_create("errors")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        argv = [self.python, "-P", _PROGRAM, "3", _RUNNER, str(os.getpid())]
        marked = {**variables, process_table.ZYGOTE: state.ljust(len(state) + _ROOM, b"/")}
        try:
            streams = (*descriptors, self._errors, theirs.fileno())
            self.pid = launching.spawn([os.fsencode(word) for word in argv], marked, streams, ignored)
        except BaseException:
            ours.close()
            self._close_errors()
            raise
        finally:
            theirs.close()
        self.frames = FrameSocket(ours, pickle.dumps, pickle.loads)
        self.frames.send((what["path"], what["preload"]))

    @property
    def usable(self) -> bool:
        """Whether it may be sent calls, as far as we know."""
        return not (self.closed or self.failure)

    def is_ready(self) -> None:
        """It has told that it is: what it says from now on is no reason for not starting."""
        self.ready = True
        self._close_errors()

    def remove(self, job: Job) -> None:
        """Forget a call: it has ended, or goes elsewhere."""
        self.jobs.pop(job.send, None)
        if not self.jobs:
            self.idle_since = time.monotonic()

    def why(self, code: int) -> str:
        """Return why it did not start, from its exit code and what it wrote; empty where it was killed."""
        if self.failure or self.ready or code < 0:
            return self.failure
        said = b""
        if self._errors is not None:
            size = os.fstat(self._errors).st_size
            said = os.pread(self._errors, 2000, max(0, size - 2000))
        text = said.decode("utf-8", "replace").strip()
        return f"cannot start: {self.python} ended with exit code {code} before it could run calls: {text}"

    def kill(self) -> None:
        """End it; the caller reaps it."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Let go of what we hold of it."""
        self.closed = True
        self.frames.close()
        self._close_errors()

    def _close_errors(self) -> None:
        if self._errors is not None:
            os.close(self._errors)
            self._errors = None


def key_of(what: Mapping[str, Any], digest: bytes) -> Any:
    """Return what tells apart the zygotes: interpreter, path, environment, preload."""
    return (what["python"], tuple(what["path"]), digest, tuple(what["preload"]))


def order_for(job: Job) -> dict[str, Any]:
    """Return what a zygote is told of a call; see `anyjob.builtin.local.zygote`."""
    what = job.what
    return {
        "send": job.send,
        "claim": job.claim,
        "spool": job.spool,
        "cwd": job.cwd,
        "variables": {os.fsdecode(k): os.fsdecode(v) for k, v in {**job.extra, **job.marks}.items()},
        "mark": job.mark,
        "durable": job.durable,
        "shared": what.get("shared"),
        "payload": what.get("payload"),
        "payload_file": what.get("payload_file"),
    }


def claim(job: Job) -> int | None:
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

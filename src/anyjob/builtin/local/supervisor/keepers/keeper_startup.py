"""How a supervisor connects to the keeper, and starts a new one where it is dead.

One that lives and does not answer is waited for, however long that takes: it was stopped, or its machine or
disk is busy, and with it all that it runs would be lost.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.ipc.sockets import connect
from anyjob.builtin.local.keeper.log.lines import ReplayedLog, replay
from anyjob.builtin.local.locks import UNSEEN, lock_holder, take_lock
from anyjob.builtin.local.paths import RuntimePaths, program_environment
from anyjob.builtin.local.supervisor.keepers import dead_keeper
from anyjob.errors import StateError
from anyjob.execution import interpreter
from anyjob.text.full_disk import WAY_OUT, has_space

DEATH = 30.0
"""Seconds that a keeper may take to die once it was killed."""
LONGEST_PAUSE = 0.5
"""Seconds between two looks for a keeper that does not answer, at most."""
ATTEMPTS = 5
"""Keepers that are tried."""
_started: list[subprocess.Popen[bytes]] = []
"""Those that we have started: children, that we have to reap."""


class KeeperConnection(NamedTuple):
    """A keeper that answers: the connection, what it had logged by then, and what it has told since."""

    frames: FrameSocket
    log: ReplayedLog
    events: list[dict[str, Any]]
    pid: int


def connect_keeper(
    paths: RuntimePaths, account: Callable[[ReplayedLog], None], wait: Callable[[], bool]
) -> KeeperConnection | None:
    """Connect to the keeper that lives, or to a new one.

    Args:
        paths: where it is.
        account: called with what the log says of one that has died, once what it has left is gone.
        wait: called again and again as long as one lives that does not answer; tells whether to go on.

    Returns:
        None where ``wait`` has said so.

    Raises:
        StateError: none can be started.
    """
    for _ in range(ATTEMPTS):
        lock = take_lock(paths.keeper_lock)
        keeper = None
        if lock is not None:  # while we have it, none can come to life
            try:
                account(dead_keeper.clean_up(paths))
                dead_keeper.archive_log(paths)
            finally:
                os.close(lock)
            keeper = _start_keeper(paths)
        try:
            found = _greet(paths, keeper, wait)
        except _Enough:
            return None
        if found is not None and not found.log.lost:
            return found
        if found is not None:  # it has taken over the log of one that we have not accounted for
            found.frames.close()
            _kill_keeper(paths)
    if not has_space(paths.logs):
        raise StateError(f"no keeper can be started: the disk of {paths.logs} is full: {WAY_OUT}")
    raise StateError(f"no keeper can be started: see {paths.logs / 'keeper.err'}")


def supervisor_command(paths: RuntimePaths) -> list[str]:
    """Return what a keeper is to start a supervisor with, once this one is gone."""
    return [interpreter.find_interpreter(), *paths.arguments("supervisor")]


def _start_keeper(paths: RuntimePaths) -> subprocess.Popen[bytes]:
    errors = os.open(
        paths.logs / "keeper.err",
        os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
    )
    _started[:] = [keeper for keeper in _started if keeper.poll() is None]
    try:
        keeper = interpreter.spawn_interpreter(
            [*paths.arguments("keeper"), "--supervisor", json.dumps(supervisor_command(paths))],
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(errors)
    _started.append(keeper)
    return keeper


class _Enough(Exception):
    """Whoever waits for a keeper does not want to any more."""


def _greet(
    paths: RuntimePaths, keeper: subprocess.Popen[bytes] | None, wait: Callable[[], bool]
) -> KeeperConnection | None:
    """Connect to a keeper, and hear what it has logged; None where there is none any more."""
    pauses = _pauses(wait)
    while (connection := connect(paths.keeper_socket)) is None:
        if lock_holder(paths.keeper_lock) is None and (keeper is None or keeper.poll() is not None):
            return None
        time.sleep(next(pauses))
    frames = FrameSocket(connection, together=True)
    poll = select.poll()
    poll.register(frames, select.POLLIN)
    messages: list[dict[str, Any]] = []
    try:
        while not messages:
            if poll.poll(next(pauses) * 1000):
                messages = frames.receive()
    except (EOFError, OSError):
        frames.close()
        return None
    except _Enough:
        frames.close()
        raise
    connection.setblocking(False)
    hello, *events = messages
    with open(hello["log"], "rb") as stream:
        log = replay(stream.read(hello["offset"]) + hello["unwritten"])
    return KeeperConnection(frames, log, events, hello["pid"])


def _pauses(wait: Callable[[], bool]) -> Iterator[float]:
    """Yield how many seconds to pause, again and again, and longer and longer.

    Raises:
        _Enough: it is not to be waited any more.
    """
    pause = 0.003
    while wait():
        yield pause
        pause = min(pause * 1.5, LONGEST_PAUSE)
    raise _Enough


def _kill_keeper(paths: RuntimePaths) -> None:
    """End a keeper that is of no use; its jobs are accounted for as after any other death of it.

    Raises:
        StateError: it is none of ours to end.
    """
    deadline = time.monotonic() + DEATH
    while (pid := lock_holder(paths.keeper_lock)) is not None and time.monotonic() < deadline:
        if pid == UNSEEN:
            raise StateError(
                f"the keeper that has {paths.keeper_lock} does not answer, and runs where its pid cannot be "
                "seen, such as in another container: end it there, or set ANYJOB_STATE to another directory "
                "in one of the two"
            )
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            return
        time.sleep(0.005)

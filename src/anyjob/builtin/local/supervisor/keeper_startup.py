"""How a supervisor finds the keeper, buries one that has died, and starts a new one."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from anyjob.builtin.local.frames import FrameSocket
from anyjob.builtin.local.keeper.log import Log, read_log
from anyjob.builtin.local.paths import (
    RuntimePaths,
    connect,
    environment,
    holder,
    take_lock,
    this_boot,
    write_private,
)
from anyjob.builtin.local.process_table import end_leftovers
from anyjob.errors import StateError

START = 30.0
"""Seconds that a keeper may take to start, and to say hello."""
TRIES = 5
"""Keepers that are tried."""
_started: list[subprocess.Popen[bytes]] = []
"""Those that we have started: children, that we have to reap."""


class FoundKeeper(NamedTuple):
    """A keeper that answers: the connection, what it had logged by then, and what it has told since."""

    frames: FrameSocket
    log: Log
    told: list[dict[str, Any]]


def meet(places: RuntimePaths, account: Callable[[Log], None]) -> FoundKeeper:
    """Connect to the keeper that lives, or to a new one.

    Args:
        places: where it is.
        account: called with the log of one that has died, once what it has left is gone.

    Raises:
        StateError: none can be started.
    """
    for _ in range(TRIES):
        lock = take_lock(places.keeper_lock)
        keeper = None
        if lock is not None:  # while we have it, none can come to life
            try:
                account(_bury(places))
                _put_away(places)
            finally:
                os.close(lock)
            keeper = _start(places)
        met = _greet(places, keeper)
        if met is not None and not met.log.lost:
            return met
        # It does not answer, or it has taken over the log of one that we have not accounted for.
        if met is not None:
            met.frames.close()
        _kill(places)
    raise StateError(f"no keeper can be started: see {places.logs / 'keeper.err'}")


def _bury(places: RuntimePaths) -> Log:
    """End what is left of the jobs of a keeper that is dead, and return its log."""
    try:
        log = read_log(places.keeper_log.read_bytes())
    except FileNotFoundError:
        log = Log()
    log.running.update(log.lost)
    log.lost.clear()
    # After a reboot its pids mean others, and nothing of it is left.
    if _read(places.boot) == this_boot():
        left = end_leftovers(log, places.state)
        if left:
            print(f"processes {left} of jobs of a keeper that is dead cannot be ended", flush=True)
    return log


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _put_away(places: RuntimePaths) -> None:
    try:
        places.keeper_log.rename(places.keeper_log.with_suffix(".dead"))
    except FileNotFoundError:
        pass
    if _read(places.boot) != this_boot():
        beside = places.boot.with_suffix(".new")
        write_private(beside, this_boot().encode())
        beside.rename(places.boot)


def _start(places: RuntimePaths) -> subprocess.Popen[bytes]:
    errors = os.open(
        places.logs / "keeper.err",
        os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
    )
    _started[:] = [keeper for keeper in _started if keeper.poll() is None]
    try:
        keeper = subprocess.Popen(
            [*places.program("keeper"), "--supervisor", json.dumps(places.program("supervisor"))],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd="/",
            env=environment(),
            start_new_session=True,
        )
    finally:
        os.close(errors)
    _started.append(keeper)
    return keeper


def _greet(places: RuntimePaths, keeper: subprocess.Popen[bytes] | None) -> FoundKeeper | None:
    """Connect to a keeper, and hear what it has logged; None where it does not answer."""
    deadline = time.monotonic() + START
    while (connection := connect(places.keeper_socket)) is None:
        gone = holder(places.keeper_lock) is None and (keeper is None or keeper.poll() is not None)
        if gone or time.monotonic() > deadline:
            return None
        time.sleep(0.003)
    frames = FrameSocket(connection)
    told = _hear(frames, deadline)
    if not told:
        frames.close()
        return None
    connection.setblocking(False)
    hello = told.pop(0)
    with open(hello["log"], "rb") as stream:
        return FoundKeeper(frames, read_log(stream.read(hello["offset"])), told)


def _hear(frames: FrameSocket, deadline: float) -> list[dict[str, Any]]:
    """Return the first that a keeper says; empty where it says nothing."""
    poll = select.poll()
    poll.register(frames, select.POLLIN)
    try:
        while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            told = frames.receive()
            if told:
                return told
    except (EOFError, OSError):
        return []
    return []


def _kill(places: RuntimePaths) -> None:
    """End a keeper that is of no use; its jobs are accounted for as after any other death of it."""
    deadline = time.monotonic() + START
    while (pid := holder(places.keeper_lock)) is not None and time.monotonic() < deadline:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            return
        time.sleep(0.005)

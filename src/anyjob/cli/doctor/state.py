"""The state directory, the ledger in it, and the daemons that serve it: looked at, and not made."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from anyjob.cli.doctor.findings import OK, PROBLEM, WARNING, Finding
from anyjob.errors import AnyjobError
from anyjob.ledger.file.schema import VERSION
from anyjob.ledger.file.statedir import file_system, is_network
from anyjob.text.amounts import size
from anyjob.views.explanation.short_calls import WAY_OUT, usual_if_many_and_short
from anyjob.views.queries import LATELY, durations_of_calls, look_at

LEAST_SPACE = 100 * 1024 * 1024
"""Bytes of free space below which it is said."""
SKEW = 2.0
"""Seconds that the clock of a file system may differ from ours."""
OTHER = "set ANYJOB_STATE to a directory of your own"
ANSWER = 3.0
"""Seconds that a daemon is given to answer."""


def directory(state: Path) -> Iterator[Finding]:
    """Yield what is to be known of the state directory."""
    if not state.exists():
        yield _missing(state)
        return
    if not state.is_dir():
        way_out = f"move it away, or {OTHER}"
        yield Finding("state", "directory", f"{state} is not a directory", PROBLEM, way_out)
        return
    found = state.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        yield Finding(
            "state", "directory", f"{state} belongs to uid {found.st_uid}", PROBLEM,
            OTHER,
        )  # fmt: skip
        return
    open_ = bool(mode & 0o022)
    way_out = f"look at what is in it, then: chmod 700 {state}" if open_ else ""
    yield Finding("state", "directory", f"{state} (mode {mode:04o})", PROBLEM if open_ else OK, way_out)
    kind = file_system(state) or "unknown"
    network = "which is a network file system: the ledger has a rollback journal there"
    yield Finding("state", "file system", f"{kind}, {network}" if is_network(state) else kind)
    free = shutil.disk_usage(state).free
    few = free < LEAST_SPACE
    way_out = "free some space: anyjob prune --older-than 30d" if few else ""
    yield Finding("state", "free space", size(free), WARNING if few else OK, way_out)
    yield _written(state)


def _missing(state: Path) -> Finding:
    """Say whether a state directory that is not there could be made."""
    if state.is_symlink():
        told, way_out = (
            f"{state} is a link to {os.readlink(state)}, where nothing is",
            "make a directory there",
        )
        return Finding("state", "directory", told, PROBLEM, f"{way_out}, or {OTHER}")
    above = next(each for each in state.parents if each.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        told = f"{state} is not there, and cannot be made: {above} cannot be written"
        return Finding("state", "directory", told, PROBLEM, OTHER)
    return Finding("state", "directory", f"{state} is not there yet: the first job makes it")


def _written(state: Path) -> Finding:
    """Say whether a file can be written there, by the time that the file system gives it."""
    try:
        with tempfile.TemporaryFile(dir=state, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
            skew = os.fstat(file.fileno()).st_mtime - time.time()
    except OSError as error:
        way_out = "make it writable, or set ANYJOB_STATE to another directory"
        return Finding("state", "writing", f"fails: {error.strerror or error}", PROBLEM, way_out)
    if abs(skew) > SKEW:
        way_out = "set the clocks of both machines: times of jobs are compared"
        return Finding("state", "writing", f"its clock differs by {skew:.0f} s", WARNING, way_out)
    return Finding("state", "writing", "works")


def ledger(state: Path) -> Iterator[Finding]:
    """Yield what is to be known of the ledger, without taking it in use."""
    path = state / "ledger.sqlite"
    if not path.exists():
        yield Finding("state", "ledger", "there is none yet")
        return
    found = look_at(path)
    bytes_ = sum(each.stat().st_size for each in state.glob("ledger.sqlite*"))
    told = f"{path}, {size(bytes_)}, version {found.version or '?'} (this anyjob writes {VERSION})"
    if found.trouble:
        yield Finding("state", "ledger", f"{path} cannot be read: {found.trouble}", PROBLEM,
                      "the next use puts a damaged one aside and saves what is sound")  # fmt: skip
    elif found.version > VERSION:
        yield Finding(
            "state", "ledger", told, PROBLEM, "upgrade anyjob, or set ANYJOB_STATE to another directory"
        )
    else:
        yield Finding("state", "ledger", told)
        jobs = ", ".join(f"{count} {name}" for name, count in sorted(found.counts.items()))
        yield Finding("state", "jobs", jobs or "none")
        yield from _short_calls(path)


def _short_calls(path: Path) -> Iterator[Finding]:
    """Say which backends spend most of their time on starts of processes."""
    for (label, options), seconds in durations_of_calls(path, time.time() - LATELY).items():
        if usual := usual_if_many_and_short(json.loads(options), seconds):
            told = f"{len(seconds)} on {label} took {usual}"
            yield Finding("state", "short calls", told, OK, WAY_OUT)


def daemons(state: Path) -> Iterator[Finding]:
    """Yield who serves the jobs of `local` here; nobody is started for it."""
    from anyjob.builtin.local.locks import UNSEEN, lock_holder
    from anyjob.builtin.local.paths import RuntimePaths
    from anyjob.ledger.identity import HOST

    if not (state / "hosts" / HOST).is_dir():
        yield Finding("daemons", "local", f"host {HOST} has run no job of this state directory")
        return
    try:
        paths = RuntimePaths(state)
    except AnyjobError as error:
        yield Finding("daemons", "sockets", str(error), PROBLEM, "see above")
        return
    yield Finding("daemons", "sockets", str(paths.runtime))
    for name, lock in (("supervisor", paths.supervisor_lock), ("keeper", paths.keeper_lock)):
        pid = lock_holder(lock)
        if pid is None:
            yield Finding("daemons", name, "none runs: it is started when there is work")
        elif pid == UNSEEN:
            yield Finding(
                "daemons", name, "runs, and its pid is not seen from here, as from another container"
            )
        elif name == "keeper":
            yield Finding("daemons", name, f"pid {pid}")
        else:
            yield _supervisor(paths.supervisor_socket, pid, paths.logs / "supervisor.err")
    for log in (paths.logs / "supervisor.err", paths.logs / "keeper.err"):
        if log.exists() and log.stat().st_size:
            from anyjob.views.log_tails import last_lines_of

            last = last_lines_of(log, 1)
            yield Finding("daemons", "last complaint", f"{log}: {''.join(last)}")


def _supervisor(socket: Path, pid: int, log: Path) -> Finding:
    from anyjob.builtin.local.connection import greet
    from anyjob.builtin.local.ipc.frames import FrameSocket
    from anyjob.builtin.local.ipc.protocol import CLIENT_PROTOCOL
    from anyjob.builtin.local.ipc.sockets import connect

    way_out = f"see {log}; it may be killed at any time: jobs run on, and a new one takes over: kill -9 {pid}"
    connection = connect(socket)
    if connection is None:
        return Finding("daemons", "supervisor", f"pid {pid} listens nowhere", WARNING, way_out)
    with closing(FrameSocket(connection)) as frames:
        try:
            protocol = greet(frames, time.monotonic() + ANSWER)
        except (OSError, EOFError, AnyjobError) as error:
            said = str(error) or type(error).__name__
            return Finding("daemons", "supervisor", f"pid {pid} does not answer: {said}", PROBLEM, way_out)
    spoken = f"pid {pid}, protocol {protocol}"
    if protocol == CLIENT_PROTOCOL:
        return Finding("daemons", "supervisor", spoken)
    way_out = "it is replaced at the next job" if protocol < CLIENT_PROTOCOL else "upgrade anyjob here"
    return Finding("daemons", "supervisor", f"{spoken}, and not {CLIENT_PROTOCOL}", WARNING, way_out)

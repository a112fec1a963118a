"""What a dead keeper leaves: processes, which are killed, and its log, which is put aside once it is read."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.keeper.log import worker_log
from anyjob.builtin.local.keeper.log.lines import ReplayedLog, replay
from anyjob.builtin.local.keeper.processes import memory_groups
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.process_table import Process, Snapshot, boot_id, send_signal
from anyjob.spool.private_files import write_private


def clean_up(paths: RuntimePaths) -> ReplayedLog:
    """Kill what is left of the jobs of a keeper that is dead, and return what its log says."""
    try:
        log = replay(paths.keeper_log.read_bytes())
    except FileNotFoundError:
        log = ReplayedLog()
    log.running.update(log.lost)
    log.lost.clear()
    # After a reboot its pids mean others, and nothing of it is left.
    if _read(paths.boot) == boot_id():
        left = kill_leftovers(log, paths.state)
        if left:
            log_error(f"processes {left} of jobs of a keeper that is dead cannot be ended")
        groups = memory_groups.sweep(os.path.abspath(paths.state), paths.logs)
        if groups:
            log_error(f"cgroups {groups} of jobs of a keeper that is dead cannot be removed")
    worker_log.add_left(log, worker_log.left_in(worker_log.directory(paths.keeper_log)))
    return log


def archive_log(paths: RuntimePaths) -> None:
    """Put the log aside: all that it says is in the ledger."""
    try:
        paths.keeper_log.rename(paths.keeper_log.with_suffix(".dead"))
    except FileNotFoundError:
        pass
    for path in worker_log.left_in(worker_log.directory(paths.keeper_log)):
        os.unlink(path)
    if _read(paths.boot) != boot_id():
        write_private(paths.boot, boot_id().encode())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def kill_leftovers(log: ReplayedLog, state: str | os.PathLike[str], within: float = 30.0) -> list[int]:
    """Kill what is left of the jobs and zygotes of a dead keeper, and wait until it is gone.

    Args:
        log: what its log says.
        state: its state directory.
        within: seconds to wait at most: a process in an uninterruptible sleep may not go.

    Returns:
        The pids of what is still there after that; empty when all is well.
    """
    keeper = os.path.abspath(os.fspath(state))
    deadline = time.monotonic() + within
    clean = 0
    while True:
        snapshot = Snapshot()
        left = _leftovers(snapshot, log, keeper)
        for process in left:
            send_signal(process, signal.SIGKILL)
        # Looked at twice: what was just being forked at the first look has its mark by the second.
        clean = 0 if left else clean + 1
        if clean == 2 or time.monotonic() > deadline:
            return [process.pid for process in left]
        time.sleep(0.005)


def _leftovers(snapshot: Snapshot, log: ReplayedLog, keeper: str) -> list[Process]:
    seeds = []
    for run in (*log.running.values(), *log.lost.values()):
        if run["pid"]:
            seeds += snapshot.in_session(run["pid"], run["starttime"])
    for pid in snapshot.processes:
        mark = snapshot.mark(pid)
        if mark is not None and mark.keeper == keeper:
            seeds.append(pid)
    ours = os.getpid()
    return [process for process in snapshot.with_descendants(seeds) if process.pid != ours]

"""The keeper's log, which it alone writes: what it has started, and what came of it.

A line is written at once, and one of these::

    K pid time                                                     a keeper starts
    S id attempt time                                              a job is about to start
    P id attempt pid starttime                                     it has this process
    E id attempt code cause started finished peak pid message      it has ended

``starttime`` is in clock ticks since boot, as ``/proc/PID/stat`` has it: a pid and its start time
are one process for ever. Times are seconds since 1970, ``peak`` is bytes, ``-`` stands for None.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class ReplayedLog:
    """What a log says, each by job id: mappings with the fields of the lines.

    Args:
        running: jobs that the keeper has started: ``id``, ``attempt``, ``time``, ``pid``,
            ``starttime`` (these two None as long as there is no process).
        ended: jobs that have ended: the fields of the keeper's ``ended`` message.
        lost: jobs that ran when an earlier keeper died; as in ``running``.
    """

    def __init__(self) -> None:
        self.running: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, dict[str, Any]] = {}
        self.lost: dict[str, dict[str, Any]] = {}


def replay(data: bytes) -> ReplayedLog:
    """Replay a log. A last line without its end, and what is no line of ours, is passed over."""
    log = ReplayedLog()
    whole, _, _ = data.rpartition(b"\n")
    for line in whole.split(b"\n"):
        read = _READERS.get(line[:2])
        if read is None:
            continue
        try:
            read(log, line.decode("ascii").split(" ", 9)[1:])
        except (ValueError, KeyError):
            continue
    return log


def _keeper(log: ReplayedLog, fields: list[str]) -> None:
    _pid, _time = int(fields[0]), float(fields[1])
    log.lost.update(log.running)
    log.running.clear()


def _start(log: ReplayedLog, fields: list[str]) -> None:
    job, attempt, time = fields
    log.running[job] = {
        "id": job,
        "attempt": int(attempt),
        "time": float(time),
        "pid": None,
        "starttime": None,
    }
    log.lost.pop(job, None)


def _process(log: ReplayedLog, fields: list[str]) -> None:
    job, attempt, pid, starttime = fields
    run = log.running[job]
    if run["attempt"] == int(attempt):
        run["pid"], run["starttime"] = int(pid), int(starttime)


def _end(log: ReplayedLog, fields: list[str]) -> None:
    job, attempt, code, cause, started, finished, peak, pid, message = fields
    log.ended[job] = {
        "id": job,
        "attempt": int(attempt),
        "code": int(code),
        "cause": None if cause == "-" else cause,
        "started": None if started == "-" else float(started),
        "finished": float(finished),
        "peak_memory": None if peak == "-" else int(peak),
        "pid": None if pid == "-" else int(pid),
        "message": message.encode("ascii").decode("unicode_escape"),
    }
    log.running.pop(job, None)
    log.lost.pop(job, None)


_READERS: dict[bytes, Callable[[ReplayedLog, list[str]], None]] = {
    b"K ": _keeper,
    b"S ": _start,
    b"P ": _process,
    b"E ": _end,
}


def keeper_line(time: float) -> bytes:
    """Return the line of a keeper that starts."""
    return b"K %d %.6f\n" % (os.getpid(), time)


def start_line(job: str, attempt: int, time: float) -> bytes:
    """Return the line of a job that is about to start."""
    return b"S %s %d %.6f\n" % (job.encode("ascii"), attempt, time)


def process_line(job: str, attempt: int, pid: int, starttime: int) -> bytes:
    """Return the line of a job that has its process."""
    return b"P %s %d %d %d\n" % (job.encode("ascii"), attempt, pid, starttime)


def end_line(event: dict[str, Any]) -> bytes:
    """Return the line of a job that has ended, from the message that tells it."""
    started, peak, pid = event["started"], event["peak_memory"], event["pid"]
    return b"E %s %d %d %s %s %.6f %s %s %s\n" % (
        event["id"].encode("ascii"),
        event["attempt"],
        event["code"],
        (event["cause"] or "-").encode("ascii"),
        b"-" if started is None else b"%.6f" % started,
        event["finished"],
        b"-" if peak is None else b"%d" % peak,
        b"-" if pid is None else b"%d" % pid,
        event["message"].encode("unicode_escape"),
    )

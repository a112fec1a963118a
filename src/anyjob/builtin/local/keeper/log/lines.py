"""The keeper's log, which it alone writes: what it has started, and what came of it.

A line is written at once, and one of these::

    K pid time                                                     a keeper starts
    S id attempt time                                              a job is about to start
    P id attempt pid starttime                                     it has this process
    E id attempt name=value...                                     it has ended
    D id attempt device,...                                        it has these GPUs
    F id attempt                                                   nothing is left of it: they are free

``starttime`` is in clock ticks since boot, as ``/proc/PID/stat`` has it: a pid and its start time
are one process for ever. Times are seconds since 1970. What is said of an end are the fields of the message
that tells it; one that is None is not written, and a name that the reader does not know is passed over.
"""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class ReplayedLog:
    """What a log says, each by job id: mappings with the fields of the lines.

    Args:
        running: jobs that the keeper has started: ``id``, ``attempt``, ``time``, ``pid``,
            ``starttime`` (these two None as long as there is no process).
        ended: jobs that have ended: the fields of the keeper's ``ended`` message.
        lost: jobs that ran when an earlier keeper died; as in ``running``.
        held: the GPUs of jobs of which something runs, or is left.
    """

    def __init__(self) -> None:
        self.running: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, dict[str, Any]] = {}
        self.lost: dict[str, dict[str, Any]] = {}
        self.held: dict[str, list[str]] = {}


def replay(data: bytes) -> ReplayedLog:
    """Replay a log. A last line without its end, and what is no line of ours, is passed over."""
    log = ReplayedLog()
    whole, _, _ = data.rpartition(b"\n")
    for line in whole.split(b"\n"):
        read = _READERS.get(line[:2])
        if read is None:
            continue
        try:
            read(log, line.decode("ascii").split(" ")[1:])
        except (ValueError, KeyError):
            continue
    return log


def _keeper(log: ReplayedLog, fields: list[str]) -> None:
    _pid, _time = int(fields[0]), float(fields[1])
    log.lost.update(log.running)
    log.running.clear()
    log.held.clear()


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


def _text(value: str) -> str:
    return value.encode("ascii").decode("unicode_escape")


END_FIELDS: dict[str, Callable[[str], Any]] = {
    "code": int,
    "cause": str,
    "started": float,
    "finished": float,
    "pid": int,
    "cpu_time": float,
    "peak_memory": int,
    "read_bytes": int,
    "written_bytes": int,
    "message": _text,
    "report": a2b_base64,
}


def _end(log: ReplayedLog, fields: list[str]) -> None:
    job, attempt, *said = fields
    ended: dict[str, Any] = {"id": job, "attempt": int(attempt), **dict.fromkeys(END_FIELDS)}
    for field in said:
        name, _, value = field.partition("=")
        if name in END_FIELDS:
            ended[name] = END_FIELDS[name](value)
    if ended["code"] is None:
        raise ValueError(f"no end: {fields}")
    log.ended[job] = ended
    log.running.pop(job, None)
    log.lost.pop(job, None)


def _devices(log: ReplayedLog, fields: list[str]) -> None:
    job, _attempt, devices = fields
    log.held[job] = _text(devices).split(",")


def _freed(log: ReplayedLog, fields: list[str]) -> None:
    job, _attempt = fields
    log.held.pop(job, None)


_READERS: dict[bytes, Callable[[ReplayedLog, list[str]], None]] = {
    b"K ": _keeper,
    b"S ": _start,
    b"P ": _process,
    b"E ": _end,
    b"D ": _devices,
    b"F ": _freed,
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


def devices_line(job: str, attempt: int, devices: Iterable[str]) -> bytes:
    """Return the line of a job that has GPUs."""
    return b"D %s %d %s\n" % (job.encode("ascii"), attempt, _written(",".join(devices)).encode("ascii"))


def event_line(event: dict[str, Any]) -> bytes:
    """Return the line of what a message tells: a job has started, or ended, or nothing is left of it."""
    if event["op"] == "started":
        return start_line(event["id"], event["attempt"], event["time"])
    if event["op"] == "freed":
        return b"F %s %d\n" % (event["id"].encode("ascii"), event["attempt"])
    return end_line(event)


def end_line(event: dict[str, Any]) -> bytes:
    """Return the line of a job that has ended, from the message that tells it."""
    said = [f"E {event['id']} {event['attempt']}"]
    for name in END_FIELDS:
        value = event.get(name)
        if type(value) is float:
            said.append(f"{name}={value:.6f}")
        elif value is not None:
            said.append(f"{name}={_written(value)}")
    return (" ".join(said) + "\n").encode("ascii")


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value.encode("unicode_escape").decode("ascii").replace(" ", "\\x20") if value else value
    return b2a_base64(value, newline=False).decode("ascii") if isinstance(value, bytes) else str(value)

"""What runs on this machine, from /proc: the processes of a job, wherever they have gone.

A job's processes are those of its session and group, all that descend from them, and those that
carry its mark in their environment.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

KEEPER, JOB_ID, ATTEMPT, SPOOL = b"ANYJOB_KEEPER", b"ANYJOB_JOB_ID", b"ANYJOB_ATTEMPT", b"ANYJOB_SPOOL"
"""The mark of a job: the state directory of its keeper, its id, its attempt, its directory."""
MARKS = (KEEPER, JOB_ID, ATTEMPT, SPOOL)
ZYGOTE = b"ANYJOB_ZYGOTE"
"""The mark of a zygote: the state directory of its keeper, padded with slashes."""
_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Process:
    """A process as /proc had it at one moment."""

    __slots__ = ("group", "parent", "pid", "session", "started", "state")

    def __init__(self, pid: int, stat: bytes) -> None:
        # The name, in brackets, may itself hold blanks and brackets.
        fields = stat[stat.rindex(b")") + 2 :].split(b" ", 20)
        self.pid = pid
        self.state = fields[0]
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.started = int(fields[19])


def read_process(pid: int) -> Process | None:
    """Return a process; None where there is none of that pid."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        return Process(pid, os.read(fd, 4096))
    except OSError:
        return None
    finally:
        os.close(fd)


def start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 where there is none."""
    process = read_process(pid)
    return process.started if process is not None else 0


def ticks_since_boot() -> int:
    """Return the time in clock ticks since boot: what a process that starts now has as start time."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // _TICK


def read_file(path: str) -> bytes:
    """Return what a file of /proc says; nothing where it cannot be read."""
    return _read(path) or b""


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = b""
        while chunk := os.read(fd, 1 << 16):
            data += chunk
        return data
    except OSError:
        return None
    finally:
        os.close(fd)


def children(pid: int) -> list[int] | None:
    """Return the pids of the children of a process of one thread; None where that cannot be told.

    However many processes there are on this machine, that is one file. It may lack some where others end
    while it is read: so it is read twice.
    """
    path = f"/proc/{pid}/task/{pid}/children"
    found = _read(path)
    return None if found is None or found != _read(path) else [int(child) for child in found.split()]


class Mark:
    """What a process carries in its environment: whose it is."""

    __slots__ = ("attempt", "is_zygote", "job_id", "keeper")

    def __init__(self, keeper: str, job_id: str = "", attempt: int = 0, is_zygote: bool = False) -> None:
        self.keeper = keeper
        self.job_id = job_id
        self.attempt = attempt
        self.is_zygote = is_zygote


def read_mark(environment: bytes) -> Mark | None:
    """Return the mark in an environment as /proc has it; None where there is none."""
    found = {}
    for entry in environment.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and (name in MARKS or name == ZYGOTE):
            found[name] = value
    if KEEPER in found and JOB_ID in found:
        attempt = found.get(ATTEMPT, b"")
        number = int(attempt) if attempt.isdigit() else 0
        return Mark(os.fsdecode(found[KEEPER]), found[JOB_ID].decode("ascii", "replace"), number)
    if ZYGOTE in found:
        return Mark(os.fsdecode(found[ZYGOTE].rstrip(b"/")), is_zygote=True)
    return None


class Snapshot:
    """The processes of this machine at one moment; zombies are left out."""

    def __init__(self) -> None:
        self.processes: dict[int, Process] = {}
        self._marks: dict[int, Mark | None] = {}
        self._children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and (process := read_process(int(name))) is not None:
                self._children.setdefault(process.parent, []).append(process.pid)
                if process.state not in (b"Z", b"X"):
                    self.processes[process.pid] = process

    def mark(self, pid: int) -> Mark | None:
        """Return the mark that a process of this user carries."""
        if pid not in self._marks:
            mark = read_mark(read_file(f"/proc/{pid}/environ"))
            self._marks[pid] = mark if mark is not None and _is_ours(pid) else None
        return self._marks[pid]

    def with_descendants(self, pids: Iterable[int]) -> list[Process]:
        """Return these processes and all that descend from them."""
        waiting, found = list(pids), {}
        while waiting:
            pid = waiting.pop()
            if pid not in found:
                found[pid] = self.processes.get(pid)
                waiting += self._children.get(pid, ())
        return [process for process in found.values() if process is not None]

    def in_session(self, leader: int, started: int) -> list[int]:
        """Return the pids of the session and group that a process leads, or led, which started at a tick."""
        now = self.processes.get(leader)
        if now is not None and now.started != started:
            return []  # the number went to somebody else, which it does only once all of these are gone
        return [p.pid for p in self.processes.values() if leader in (p.pid, p.session, p.group)]


def _is_ours(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.getuid()
    except OSError:
        return False


def send_signal(process: Process, number: int) -> None:
    """Signal a process, unless its pid went to another one meanwhile."""
    if start_time(process.pid) == process.started:
        try:
            os.kill(process.pid, number)
        except OSError:
            return


def boot_id() -> str:
    """Return what tells apart the times during which a pid means the same process: a boot, or a container."""
    boot = read_file("/proc/sys/kernel/random/boot_id").decode("ascii").strip()
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{boot} {namespace} {start_time(1)}"

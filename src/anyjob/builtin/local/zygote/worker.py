"""A worker: a zygote's child that makes one call after the other, each with a clean slate.

It is told of calls over a channel of its own to the keeper, in lists of some, each a pickle after 4 bytes of
length; first it says ``("ready", pid)``. A call is its own to make once it has taken the token of it from a
pipe, 4 bytes with the order's number: what the keeper takes back, it takes from that pipe, too.
What it does with a call it writes into its log, pickles as those: ``("begun", id, attempt, time)``
before it begins, and ``("ended", code, report, usage, time, seconds)`` before it takes another
one. The report is pickled, or None where it is in the spool. Where there is no token, it says ``("idle",)``
over the channel, and waits for one.

A call that has left nothing in its directory, and has written nothing, leaves that to the next one: it is
renamed, with the files of the streams in it, which stay open. To make a new one takes several times as long.

After a call that has left something behind, or has made it grow, or was the last of so many, it ends as a
child that makes one call does: with the outcome in the spool, and without a word in the log.
"""

from __future__ import annotations

import errno
import os
import pickle
import resource
import select
import stat
import sys
import time
from collections import deque
from signal import SIG_SETMASK, SIGCHLD, SIGTERM, set_wakeup_fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

try:
    import _signal as plain_signal  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    import signal as plain_signal
try:
    from _thread import _count as thread_count
except ImportError:
    from threading import active_count

    def thread_count() -> int:
        """Return how many threads of Python there are beside the main one."""
        return active_count() - 1


STREAMS = (1, 2)
SMALL = 4096
"""Bytes of a report up to which it is told, and needs no file."""
LARGEST_LOG = 8 << 20
"""Bytes of its log after which a worker makes no more calls."""
FULL = (errno.ENOSPC, errno.EDQUOT)
RETRY = 0.2
"""Seconds after which is tried again what finds the disk full."""
GROWTH = 256 << 20
"""Bytes of memory that a worker may have beyond twice what it had after its first call."""
SLACK = 1 << 20
"""Bytes that a peak of memory may be wrong by, for it not to be counted anew for each call."""
PAGE = os.sysconf("SC_PAGE_SIZE")
TIMERS = (plain_signal.ITIMER_REAL, plain_signal.ITIMER_VIRTUAL, plain_signal.ITIMER_PROF)
ENVIRONMENT = getattr(os.environb, "_data", os.environb)
"""The variables as they are kept: by way of ``os.environb`` it takes longer to look at all of them than most
calls take."""
LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
SIGNALS = [number for number in range(1, 32) if number not in (9, 19, 32, 33)]


class Worker:
    """What makes the calls, one at a time.

    Args:
        files: the connection to the keeper, the pipe of the tokens and the log.
        limit: how many calls it makes at most.
        runner: the module `anyjob.standalone.runner`.
        child: the module that has what children of a zygote do.
        mark: the memory that the mark of the process is in.
        host: the name of this host.
    """

    def __init__(
        self, files: tuple[int, ...], limit: int, runner: Any, child: Any, mark: memoryview, host: str
    ) -> None:
        self._files = self._channel, self._tokens, self._log = files
        self._inodes = inodes(self._files)
        self._attributes = attributes()
        self._logged = 0
        self._orders: deque[dict[str, Any]] = deque()
        self._is_idle = True
        self._limit = limit
        self._runner = runner
        self._child = child
        self._mark = mark
        self._host = host
        self._calls = 0
        self._usual_memory = 0
        self._bare = ""
        """The directory of the last call, where nothing is in it but its streams, and these are empty."""
        self._streams: list[tuple[int, int]] = []
        self._slate = Slate(child)
        self._usage = Usage()

    def serve(self) -> NoReturn:
        """Make calls until the keeper closes the pipe, or this process is used up."""
        self._tell("ready", os.getpid())
        while True:
            self._serve_one(self._order(self._take()))

    def _serve_one(self, order: dict[str, Any]) -> None:
        child, runner = self._child, self._runner
        self._calls += 1
        bare, self._bare = self._bare, ""
        has_taken = bool(bare) and not order["has_directory"] and has_renamed(bare, order["spool"])
        if not (has_taken or order["has_directory"]):
            self._make_directory(order["spool"])
        self._write("begun", order["id"], order["attempt"], time.time())
        begun = time.monotonic()
        child.write_mark(self._mark, order["mark"])
        self._slate.clean(order["variables"])
        self._usage.begin()
        if not has_taken:
            child.open_streams(order["spool"])
            self._streams = inodes(STREAMS)
        outcome = child.make_call(order, runner)
        child.flush_streams()
        if outcome is None or not self._can_go_on():
            child.end(order, outcome, runner, self._host)
        outcome["host"] = self._host
        pickled = pickle.dumps(outcome, 5)
        report = pickled if len(pickled) <= SMALL and outcome["status"] == "DONE" else None
        if report is None:
            child.write_outcome(order, outcome, runner, self._host)
        os.chdir("/")
        took, usage = time.monotonic() - begun, self._usage.end()
        has_streams_alone = not self._usage.had_children and counts_children()
        if report is not None and has_streams_alone and self._is_bare(order["spool"]):
            self._bare = order["spool"]
        self._write("ended", child.exit_code(outcome), report, usage, time.time(), took)
        child.set_handler(SIGTERM, child.SIG_DFL)

    def _is_bare(self, directory: str) -> bool:
        """Tell whether nothing is in the directory of a call but its streams, and these are empty."""
        try:
            for fd, inode in zip(STREAMS, self._streams, strict=True):
                found = os.fstat(fd)
                if found.st_size or found.st_nlink != 1 or (found.st_dev, found.st_ino) != inode:
                    return False
            return len(os.listdir(directory)) == len(STREAMS)
        except OSError:  # the call has closed one of them, or has removed its directory
            return False

    def _make_directory(self, path: str) -> None:
        """Make the directory of a call that it has not begun; wait for room where there is none.

        Where that is not so simple this process ends: the keeper, which does it then, says what is wrong.
        """
        umask = os.umask(0o077)
        while not self._has_made(path):
            time.sleep(RETRY)
        os.umask(umask)

    def _has_made(self, path: str) -> bool:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            found = os.lstat(path)
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                self._end()
            if os.path.lexists(path + "/outcome.pkl"):  # of an earlier attempt
                self._end()
        except OSError as error:
            if error.errno in FULL:
                return False
            self._end()
        return True

    def _can_go_on(self) -> bool:
        """Tell whether nothing is left of the call that would be of harm to the next."""
        peak = peak_memory()
        self._usual_memory = self._usual_memory or peak
        return (
            self._calls < self._limit
            and self._logged < LARGEST_LOG
            and not self._has_grown(peak)
            and not thread_count()
            and not has_children()
            and self._slate.has_streams()
            and inodes(self._files) == self._inodes
            and attributes() == self._attributes
        )

    def _has_grown(self, peak: int) -> bool:
        most = 2 * self._usual_memory + GROWTH
        return peak > most and resident_memory() > most

    def _tell(self, *fields: Any) -> None:
        try:
            os.write(self._channel, frame(fields))
        except OSError:  # the keeper is gone, or wants no more calls of this one
            self._end()

    def _write(self, *fields: Any) -> None:
        """Write into the log, a record whole or not at all; wait for room where there is none."""
        record = frame(fields)
        while True:
            try:
                if os.write(self._log, record) == len(record):
                    break
            except OSError:
                pass
            os.ftruncate(self._log, self._logged)
            time.sleep(RETRY)
        self._logged += len(record)

    def _take(self) -> int:
        """Take the next token, and return the number of its order; end this process where none will come."""
        while True:
            try:
                token = os.read(self._tokens, 4)
            except BlockingIOError:
                if not self._is_idle:
                    self._tell("idle")
                    self._is_idle = True
                poll = select.poll()
                poll.register(self._tokens, select.POLLIN)
                poll.poll()
                continue
            if not token:
                self._end()
            self._is_idle = False
            return int.from_bytes(token, "little")

    def _order(self, number: int) -> dict[str, Any]:
        """Return the order of a number; those before it were taken back."""
        while True:
            while self._orders:
                order = self._orders.popleft()
                if order["dispatch_id"] == number:
                    return order
            self._receive()

    def _receive(self) -> None:
        """Read some orders, which are there or come at once."""
        received = bytearray()
        wanted = 4
        while len(received) < wanted:
            data = os.read(self._channel, wanted - len(received))
            if not data:
                self._end()
            received += data
            if wanted == 4 == len(received):
                wanted += int.from_bytes(received, "little")
        self._orders.extend(pickle.loads(memoryview(received)[4:]))

    def _end(self) -> NoReturn:
        self._child.finalize()
        os._exit(0)


class Slate:
    """What each call finds as the first one did.

    Args:
        child: the module that has what children of a zygote do.
    """

    def __init__(self, child: Any) -> None:
        self._child = child
        self._variables = dict(os.environb)
        self._given: dict[bytes, bytes] = {}  # to the last call, all in all
        self._own = self._given.keys()  # what of that was its own
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._path, self._argv = list(sys.path), list(sys.argv)
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._handlers = [(number, plain_signal.getsignal(number)) for number in SIGNALS]
        self._mask = plain_signal.pthread_sigmask(SIG_SETMASK, ())
        plain_signal.pthread_sigmask(SIG_SETMASK, self._mask)

    def clean(self, variables: dict[bytes, bytes]) -> None:
        """Undo what an earlier call has changed; give the next one its own variables."""
        for timer in TIMERS:
            plain_signal.setitimer(timer, 0)
        for number, handler in self._handlers:
            if plain_signal.getsignal(number) is not handler:
                plain_signal.signal(number, handler)
        plain_signal.pthread_sigmask(SIG_SETMASK, self._mask)
        wanted = self._variables | variables
        # As a rule nothing but its own variables differs from what the last call was given.
        looked_at = variables if self._given == ENVIRONMENT and variables.keys() == self._own else wanted
        if looked_at is wanted:
            for name in [name for name in ENVIRONMENT if name not in wanted]:
                del os.environb[name]
        for name, value in looked_at.items():
            if ENVIRONMENT.get(name) != value:
                os.environb[name] = value
        self._given, self._own = wanted, variables.keys()
        os.umask(self._umask)
        sys.path[:], sys.argv[:] = self._path, self._argv
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.modules["__main__"] = type(sys)("__main__")
        if "random" in sys.modules:
            sys.modules["random"].seed(int.from_bytes(os.urandom(self._child.ENTROPY), "little"))
        self._child.seed_numpy()

    def has_streams(self) -> bool:
        """Tell whether the streams are open that each call has."""
        return not any(stream is not None and stream.closed for stream in self._streams)


def has_renamed(directory: str, path: str) -> bool:
    """Have the directory that one call has left bare be that of the next one, if that can be."""
    try:
        os.rename(directory, path)
    except OSError:  # it was removed; or there is one, of an earlier attempt; or it is another file system
        return False
    return True


def counts_children() -> bool:
    """Tell whether children that end count as used; where their signal is ignored, they do not."""
    return plain_signal.getsignal(SIGCHLD) is not plain_signal.SIG_IGN


def has_children() -> bool:
    """Tell whether there are processes that this one has started, and that it has not waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def frame(fields: tuple[Any, ...]) -> bytes:
    """Return what says something to the keeper, in its log or over the channel."""
    content = pickle.dumps(fields, 4)
    return len(content).to_bytes(4, "little") + content


def inodes(descriptors: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return what tells files from others; nothing where one of the descriptors is closed."""
    try:
        return [(found.st_dev, found.st_ino) for found in map(os.fstat, descriptors)]
    except OSError:
        return []


def attributes() -> list[Any]:
    """Return what a call may have lowered for its process, and nobody but root raises again."""
    return [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0), *map(resource.getrlimit, LIMITS)]


def resident_memory() -> int:
    """Return the bytes that this process has in memory."""
    with open("/proc/self/statm", "rb", buffering=0) as stream:
        return int(stream.read(200).split()[1]) * PAGE


class Usage:
    """What the calls use, each by itself: see `anyjob.builtin.local.keeper.processes.usage`."""

    def __init__(self) -> None:
        try:
            self._io = os.open("/proc/self/io", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._io = -1
        self.had_children = False
        """Whether what was used was used by others too, who may have left some: they have the streams."""
        self._peak = 0
        """The most bytes that this process had in memory, when that was last read."""
        self._before = self._read()
        self._floor = 0
        """Bytes of the peak of memory when it was last counted anew."""

    def begin(self) -> None:
        """A call begins: have the peak of its memory be its own, as far as the system lets us."""
        if self._peak <= self._floor + SLACK:
            return
        try:
            fd = os.open("/proc/self/clear_refs", os.O_WRONLY)
        except OSError:
            return
        try:
            os.write(fd, b"5")
        except OSError:
            pass
        os.close(fd)
        self._floor = peak_memory()

    def end(self) -> dict[str, float | None]:
        """Return what was used since this was last called."""
        now, before = self._read(), self._before
        self._before = now
        self.had_children = now["faults_of_children"] != before["faults_of_children"]
        children = now["peak_of_children"] if now["peak_of_children"] != before["peak_of_children"] else 0
        used: dict[str, float | None] = {"peak_memory": max(self._peak, int(children or 0))}
        for name in ("cpu_time", "read_bytes", "written_bytes"):
            one, other = now[name], before[name]
            used[name] = None if one is None or other is None else one - other
        return used

    def _read(self) -> dict[str, float | None]:
        """Return what this process and the children that it waited for have used so far."""
        own, waited = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        self._peak = own.ru_maxrss * 1024
        try:
            said = os.pread(self._io, 512, 0).split()
        except OSError:  # it is not there; or the call has closed it
            said = []
        known = len(said) >= 4 and said[0] == b"rchar:" and said[2] == b"wchar:"
        return {
            "cpu_time": own.ru_utime + own.ru_stime + waited.ru_utime + waited.ru_stime,
            "faults_of_children": waited.ru_minflt,
            "peak_of_children": waited.ru_maxrss * 1024,
            "read_bytes": int(said[1]) if known else None,
            "written_bytes": int(said[3]) if known else None,
        }


def peak_memory() -> int:
    """Return the most bytes that this process had in memory, since that was last counted anew."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(
    limit: int,
    files: tuple[int, ...],
    runner: Any,
    child: Any,
    mark: memoryview,
    descriptors: tuple[int, ...],
    host: str,
) -> NoReturn:
    """Be a worker, in a child of the zygote.

    Args:
        limit: how many calls it makes at most.
        files: the connection to the keeper, the pipe of the tokens and the log.
        runner: the module `anyjob.standalone.runner`.
        child: the module that has what children do.
        mark: the memory that the mark of the process is in.
        descriptors: those of the zygote, which calls do not get.
        host: the name of this host.
    """
    set_wakeup_fd(-1)
    child.set_handler(SIGCHLD, child.SIG_DFL)
    os.setsid()
    for fd in descriptors:
        os.close(fd)
    child.reset_inherited_state()
    Worker(files, limit, runner, child, mark, host).serve()

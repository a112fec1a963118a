"""Runs one job in a worker process of Ray. It is sent along: the cluster need not have anyjob.

Everything in here is pickled by value, so it uses the standard library, Ray, and functions of
`anyjob.execution.runner` only; commands alone need anyjob over there. What came of a job is a mapping with
the fields of `anyjob.specs.Outcome`, pickled, and what the job wrote beside it.
"""

from __future__ import annotations

import io
import os
import pickle
import select
import signal
import sys
import threading
import time
from typing import Any, NamedTuple

from anyjob.execution.runner import dumps, failure, perform, pickled
from anyjob_ray.end_listener import Address, tell
from anyjob_ray.journal import Journal, path_of
from anyjob_ray.series import Series

INTERRUPT, WAKE = int(signal.SIGINT), int(signal.SIGUSR1)
"""What Ray cancels by, and what wakes a call for it to be noticed."""
SOON = 0.05
"""Seconds that a job runs before it is told that it does: shorter ones cost no message."""
TICK = 0.05
ASK = 5.0
"""Seconds that the board has to say who was cancelled."""
FUNCTIONS = 32
"""How many functions a worker process keeps."""
LARGE = 256 * 1024
"""Bytes from which the buffers of a value go by the object store, as they are."""
WRITTEN = 16 * 1024 * 1024
"""Bytes of each stream that are kept of a job when it has ended: the end of it."""


class Ended(BaseException):
    """Raised in a job that is cancelled or has run too long, so that its clean-up runs."""


def run(head: bytes, *buffers: Any) -> Any:
    """Run one job; what Ray calls.

    Args:
        head: the pickled tuple that `anyjob_ray.payload` makes.
        buffers: the large parts of its arguments, where they lie in the object store.

    Returns:
        What came of it, pickled; or a tuple of that and of the large parts of the value.
    """
    return _warden().run(Job(pickle.loads(head), buffers))


def run_series(series_id: str, works: list[tuple[str, bytes]]) -> Any:
    """Run jobs one after the other; what Ray calls.

    Args:
        series_id: ours.
        works: the id of each, and its head.

    Returns:
        What `anyjob_ray.series.Lead` says, pickled; or a tuple of what `run` returns for the last of them,
        whose value is large, and of that.
    """
    journal = Journal(path_of(series_id)) if len(works) > 1 else None
    return _warden().run_series(Series(series_id, works, journal))


def _warden() -> Warden:
    """Return the one of this process."""
    warden: Warden | None = sys.__dict__.get("_anyjob_ray_warden")
    if warden is None:
        warden = sys.__dict__["_anyjob_ray_warden"] = Warden()
    return warden


class Common(NamedTuple):
    """What the jobs of one launch have in common.

    Args:
        path: where their modules may be, if they are here.
        namespace: that of the board.
        board: the actor that is told of jobs that run.
        apart: whether large parts of a value may stay apart.
        grace: seconds after which a job that was asked to end, and has not, is killed with its process.
        ear: who wants to hear of the end at once; None: nobody.
    """

    path: list[str]
    namespace: str
    board: str
    apart: bool
    grace: float
    ear: tuple[str, int, bytes] | None = None


class Job:
    """The job that a worker process runs now."""

    def __init__(self, head: tuple[Any, ...], buffers: tuple[Any, ...]) -> None:
        self.job_id: str = head[0]
        self.kind: str = head[1]
        self.work: tuple[bytes, bytes] = head[2]
        self.environment: dict[str, str] = head[3]
        self.walltime: float | None = head[4]
        self.shared: bytes = head[5]
        self.buffers = buffers
        self.common: Common
        self.begun = time.monotonic()
        self.started = time.time()
        self.open = False
        self.told = False
        self.reason = ""
        self.kill_at: float | None = None
        self.marks: list[int] = []

    def ended(self) -> dict[str, Any]:
        """Say that it was ended, and why."""
        said: dict[str, Any] = {"status": "CANCELLED", "started": self.started, "finished": time.time()}
        if self.reason == "walltime":
            said["status"], said["reason"] = "ERROR", "walltime"
            said["message"] = f"it ran longer than the {self.walltime:g} s that were asked for"
        return said


class Warden:
    """Watches over the jobs of one worker process, one after the other.

    A thread tells the board of jobs that take a while, and ends those that are to end: Ray's own
    cancel is noticed by Python only between two bytecodes, so a call that sleeps, or waits for a
    program, is woken by a signal.
    """

    def __init__(self) -> None:
        self.current: Job | None = None
        self._series: Series | None = None
        self._last_task = ""
        self._asleep = False
        self._main = threading.get_ident()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._boards: dict[bytes, Any] = {}
        self._commons: dict[bytes, Common] = {}
        self._functions: dict[bytes, Any] = {}
        self._handler = self._interrupted  # one object: to be told from others'
        self._others: dict[int, Any] = {}
        self.host = os.uname().nodename
        threading.Thread(target=self._watch, name="anyjob-warden", daemon=True).start()

    # --- in the main thread -----------------------------------------------------------------------

    def run(self, job: Job) -> Any:
        """Run a job, and return what `run` does.

        While it is the current one, a cancel raises nothing but in the job's own code; one that comes before
        it is, or after, raises what Ray takes for a cancel.
        """
        before = {name: os.environ.get(name) for name in job.environment}
        try:
            job.common = self._common(job.shared)
            self._heed_signals()
            self._signals()  # those that came before are not to this job
            self.current = job
            if self._asleep:
                os.write(self._write, b"\0")
            os.environ.update(job.environment)
            job.marks = _sizes()
            said = self._perform(job)
            said["host"] = self.host
            packed = _packed(job, said)
            if job.common.ear is not None and isinstance(packed, bytes) and said["status"] != "CANCELLED":
                tell(Address(*job.common.ear), job.job_id, packed)
            return packed
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            self.current = None

    def run_series(self, series: Series) -> Any:
        """Run jobs one after the other, and return what `run_series` does."""
        self._series = series if len(series.works) > 1 else None  # of one job it is clear which is cancelled
        self._last_task = _task_id()
        try:
            while (number := series.take()) is not None:
                said = self.run(Job(pickle.loads(series.works[number][1]), ()))
                if isinstance(said, tuple):
                    return *said, series.lead(number)
                series.ended(number, said)
            return series.lead()
        finally:
            self._series = None

    def _common(self, shared: bytes) -> Common:
        common = self._commons.get(shared)
        if common is None:
            common = self._commons[shared] = Common(*pickle.loads(shared))
            sys.path += [entry for entry in common.path if entry not in sys.path]
        return common

    def _perform(self, job: Job) -> dict[str, Any]:
        try:
            try:
                job.open = True
                if job.reason:  # it was cancelled before it was open
                    raise Ended
                return _command(job) if job.kind == "command" else self._call(job)
            finally:
                job.open = False
        except Ended:
            return job.ended()

    def _call(self, job: Job) -> dict[str, Any]:
        return perform(lambda: self._load(job), Ended)

    def _load(self, job: Job) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Unpickle what to call, its positional and its keyword arguments."""
        blob, arguments = job.work
        fn = self._functions.get(blob)
        if fn is None:  # as Ray does it: a function is unpickled once by each worker process
            fn = pickle.loads(blob)
            if len(self._functions) >= FUNCTIONS:
                self._functions.clear()
            self._functions[blob] = fn
        args, kwargs = pickle.loads(arguments, buffers=job.buffers)
        return fn, args, kwargs

    def _heed_signals(self) -> None:
        """Have signals come here: they stay so, unless a job has set its own meanwhile."""
        for number in (INTERRUPT, WAKE):
            if signal.getsignal(number) is not self._handler:
                self._others[number] = signal.getsignal(number)
                signal.signal(number, self._handler)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def _interrupted(self, number: int, frame: Any) -> None:
        job = self.current
        if number == INTERRUPT and self._series is not None:
            self._series.asked = True
            return
        if job is None:
            other = self._others.get(number)  # Ray's, for tasks that are not ours
            # One that comes when a series has ended would only have Ray drop what came of it.
            if number == INTERRUPT and callable(other) and _task_id() != self._last_task:
                other(number, frame)
            return
        if number == INTERRUPT:
            job.reason = job.reason or "cancelled"
        if job.open and job.reason:  # else it is still to open, or cleans up, or has nothing more to end
            job.open = False
            job.kill_at = time.monotonic() + job.common.grace
            raise Ended

    # --- in the thread ----------------------------------------------------------------------------

    def _watch(self) -> None:
        quiet = 0
        while True:
            quiet = quiet + 1 if self.current is None else 0
            self._asleep = quiet > 20
            if self._asleep and self.current is not None:
                self._asleep = False
            readable, _, _ = select.select([self._read], [], [], None if self._asleep else TICK)
            self._asleep = False
            job = self.current  # before the signals are read: those are to this one then, or to one before
            series = self._series
            signals = self._signals() if readable else b""
            if job is not None:
                try:
                    if series is None:
                        self._look_after(job, INTERRUPT in signals)
                    else:
                        series.asked = series.asked or INTERRUPT in signals
                        self._look_after(job, self._is_cancelled(job, series))
                        self._give_back(job, series)
                except Exception:  # the board is not there yet, or not any more
                    continue

    def _signals(self) -> bytes:
        try:
            return os.read(self._read, 4096)
        except BlockingIOError:  # the main thread has
            return b""

    def _look_after(self, job: Job, interrupted: bool) -> None:
        now = time.monotonic()
        if interrupted:
            signal.pthread_kill(self._main, WAKE)
            job.kill_at = job.kill_at or now + job.common.grace
        if job.walltime is not None and not job.reason and now - job.begun > job.walltime:
            job.reason = "walltime"
            signal.pthread_kill(self._main, WAKE)
            job.kill_at = now + job.common.grace
        if job.kill_at is not None and now > job.kill_at and self.current is job:
            self._kill(job)
        if not job.told and now - job.begun > SOON:
            self._board(job).began.remote(job.job_id, _place(job))
            job.told = True

    def _is_cancelled(self, job: Job, series: Series) -> bool:
        """Find out which jobs of a series were cancelled, if any were; say whether it is this one."""
        import ray

        if series.asked:  # again and again: we are interrupted once, however many are cancelled
            ids = [job_id for job_id, _ in series.works]
            series.cancelled.update(ray.get(self._board(job).cancelled.remote(ids), timeout=ASK))
        if job.job_id not in series.cancelled or job.reason:
            return False
        job.reason = "cancelled"
        return True

    def _give_back(self, job: Job, series: Series) -> None:
        """Have others make the calls that would wait for a long one, and tell what came of those before."""
        if not job.told or (given := series.give_back()) is None:
            return
        self._board(job).part.remote(series.series_id, *given)

    def _board(self, job: Job) -> Any:
        import ray

        if job.shared not in self._boards:
            self._boards[job.shared] = ray.get_actor(job.common.board, namespace=job.common.namespace)
        return self._boards[job.shared]

    def _kill(self, job: Job) -> None:
        """End this process, and what the job has started: it did not end by itself."""
        import ray

        fate = job.reason or "cancelled"
        try:
            ray.get(self._board(job).doomed.remote(job.job_id, fate), timeout=5)
        finally:
            for pid in _descendants(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
            os.kill(os.getpid(), signal.SIGKILL)


def _descendants(root: int) -> list[int]:
    """The processes that descend from one, by what Linux tells of each."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stream:
                    parent = int(stream.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    left = [root]
    while left:
        left += (below := children.get(left.pop(), []))
        found += below
    return found


# --- a command ------------------------------------------------------------------------------------


def _command(job: Job) -> dict[str, Any]:
    """Run a program with this worker's own stdout and stderr."""
    try:
        from anyjob.execution import spawning

        spec, cwd = pickle.loads(job.work[0]), job.work[1].decode("utf-8", "surrogateescape") or None
    except ImportError as error:
        return failure(error)
    import tempfile
    from pathlib import Path

    if cwd is not None and not os.path.isdir(cwd):
        cwd = None  # that of another machine
    with tempfile.TemporaryDirectory(prefix="anyjob-") as directory:
        with open(os.dup(1), "wb") as stdout, open(os.dup(2), "wb") as stderr:
            try:
                process = spawning.start(spec, {}, stdout, stderr, Path(directory), cwd)
            except OSError as error:
                return _plain(spawning.not_started(spec, error))
        try:
            spawning.await_end(process)
        except BaseException:
            spawning.end([process.pid], job.common.grace / 2)
            raise
        finally:
            outcome = spawning.reap(process, job.started)
    return _plain(outcome)


def _plain(outcome: Any) -> dict[str, Any]:
    said: dict[str, Any] = {name: getattr(outcome, name) for name in outcome.__struct_fields__}
    said["status"] = outcome.status.name
    said["peak_memory"] = None  # a child of a large process is said to have had as much as that
    return said


# --- what came of it ------------------------------------------------------------------------------


def _packed(job: Job, said: dict[str, Any]) -> Any:
    """Pickle what came of a job; large parts may stay apart, for Ray to take them as they are."""
    said["written"] = _outputs(job)
    large: list[Any] = []
    if said["status"] == "DONE" and job.kind != "command":
        try:
            value = said["value"]
            said["value"], large = dump_apart(value) if job.common.apart else (dumps(value), [])
        except Exception:
            said = pickled(said)  # which says what is wrong with it
    head = pickle.dumps(said, 5)
    return (head, *large) if large or len(head) > LARGE else head


def dump_apart(value: Any) -> tuple[bytes, list[Any]]:
    """Pickle a value, with its buffers apart where they are large."""
    buffers: list[Any] = []
    try:
        blob = pickle.dumps(value, 5, buffer_callback=buffers.append)
    except Exception:
        blob = b"__main__"
    if b"__main__" in blob:  # what is defined there means something else elsewhere
        import cloudpickle

        buffers.clear()
        blob = cloudpickle.dumps(value, 5, buffer_callback=buffers.append)
    if buffers and sum(buffer.raw().nbytes for buffer in buffers) < LARGE:
        return dumps(value), []
    return blob, buffers


def _sizes() -> list[int]:
    """How much stdout and stderr, which are files of this worker, hold by now."""
    sizes = []
    for fd in (1, 2):
        try:
            sizes.append(os.lseek(fd, 0, os.SEEK_END))
        except OSError:  # the job has closed it, or it is no file
            sizes.append(0)
    return sizes


def _outputs(job: Job) -> tuple[bytes, bytes]:
    """What a job has written to stdout and stderr: the end of each."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
    out, err = _sizes()
    return _part(1, job.marks[0], out), _part(2, job.marks[1], err)


def _part(fd: int, start: int, stop: int) -> bytes:
    if stop <= start:
        return b""
    start = max(start, stop - WRITTEN)
    try:
        with open(f"/proc/self/fd/{fd}", "rb") as stream:
            return os.pread(stream.fileno(), stop - start, start)
    except OSError:
        return b""


def _task_id() -> str:
    import ray

    return str(ray.get_runtime_context().get_task_id())


def _place(job: Job) -> tuple[str, str, str, int, int, float]:
    """Say where a job runs and writes: node, files of stdout and stderr, where it begins in them, when."""
    import ray

    node = str(ray.get_runtime_context().get_node_id())
    out, err = (os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2))
    return node, out, err, job.marks[0], job.marks[1], job.started


def read_part(path: str, offset: int, size: int) -> bytes:
    """Read from a file of this machine: a task of its own, on the node where a job writes."""
    with io.FileIO(path) as stream:
        return os.pread(stream.fileno(), size, offset)


__all__ = ["LARGE", "WRITTEN", "Ended", "dump_apart", "dumps", "read_part", "run", "run_series"]

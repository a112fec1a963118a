"""The keeper: the parent of the jobs of the `local` backend, one a user, host and state directory.

It starts what the supervisor says, reaps it, enforces walltime and cancel, and logs each start
before it happens, and each end. It decides nothing. One thread, one loop: nothing in it waits.

The supervisor connects to ``keeper.sock``; messages are msgpack maps, see `frames`. On connecting
it is told ``hello`` (``protocol``, ``pid``, ``log``, ``offset``): all that happened before is in the
first ``offset`` bytes of the log, all else is told. It says ``start``, ``kill``, ``compact``, ``stop``,
and is told ``started``, ``ended`` and ``compacted``.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time

from anyjob.builtin.local import process_table
from anyjob.builtin.local.frames import FrameSocket
from anyjob.builtin.local.keeper import launching, zygote_pool
from anyjob.builtin.local.keeper.daemon import adopt_orphans, complain, detach, listen, own_peak, trust
from anyjob.builtin.local.keeper.jobs import Job, Key
from anyjob.builtin.local.keeper.launching import StartFailed
from anyjob.builtin.local.keeper.log import LogWriter, end_line, keeper_line, process_line, start_line
from anyjob.builtin.local.keeper.termination import Termination, Terminations
from anyjob.builtin.local.keeper.zygote_pool import Zygote
from anyjob.builtin.local.supervisor.slots import KeeperSlots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PROTOCOL = 1
SOON = 0.005
"""Seconds that a start may wait to be told: most of those who end sooner are then told of once."""
AGAIN = 0.2
"""Seconds after which what could not be done now is tried again."""
BACK_OFF = 10.0
"""Seconds between two attempts to start a supervisor, at most."""
SUPERVISORS = 6
"""Attempts to start a supervisor where nothing runs, and only what has ended is to be told."""

Death = tuple[int, int, int]  # pid, exit code or -signal, peak memory in bytes


class Keeper:
    """The loop, and what it knows.

    Args:
        state: the state directory, which the jobs are marked with.
        listener: the socket that the supervisor connects to.
        log: where starts and ends are written.
        supervisor: the command that starts a supervisor; empty for none.
        idle: seconds without jobs and without a supervisor after which to end.
        zygote_idle: seconds after which a zygote that has nothing to do is ended.
    """

    def __init__(
        self,
        state: str,
        listener: socket.socket,
        log: LogWriter,
        *,
        supervisor: list[str] | None = None,
        idle: float = 10.0,
        zygote_idle: float = 60.0,
    ) -> None:
        self._state = os.fsencode(state)
        self._listener = listener
        self._log = log
        self._command = supervisor or []
        self._idle = idle
        self._zygote_idle = zygote_idle
        self._to_retire = False
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._environments = launching.Environments()
        self._ignored: list[int] = []
        self._jobs: dict[Key, Job] = {}
        self._rooms = KeeperSlots()
        self._pids: dict[int, Job] = {}
        self._endings = Terminations(self._state, self._after, self._jobs.__contains__, self._is_known)
        self._zygotes: dict[int, Zygote] = {}
        self._warm: dict[Any, Zygote] = {}
        self._sends = 0
        self._own_peak = 0
        self._unlogged: list[bytes] = []
        self._timers: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._timed = 0
        self._supervisor: FrameSocket | None = None
        self._supervisor_pid = 0
        self._tried = 0
        self._unseen = False
        self._stopping = False
        self._quiet_since = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake, selectors.EVENT_READ, self._woken)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._to_flush: set[FrameSocket] = set()
        self._blocked: set[FrameSocket] = set()
        self._to_tell = False
        self._hear_signals(waker)

    def _hear_signals(self, waker: int) -> None:
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._ignored = launching.ignored_signals()

    # --- the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until there is nothing more to do."""
        while not self._is_done():
            due = self._timers[0][0] - time.monotonic() if self._timers else self._idle
            for key, events in self._selector.select(min(max(due, 0.0), self._idle)):
                key.data(events)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                _, _, function, arguments = heapq.heappop(self._timers)
                function(*arguments)
            self._endings.look_anew()
            self._flush()
        for zygote in self._zygotes.values():
            zygote.kill()

    def _is_done(self) -> bool:
        if self._jobs or self._endings:
            self._quiet_since = time.monotonic()
            return False
        if self._supervisor is not None and not self._stopping:
            return False
        waits = self._unseen and self._supervisor is None and self._command and self._tried < SUPERVISORS
        if not self._stopping and (waits or time.monotonic() - self._quiet_since < self._idle):
            return False
        self._endings.sweep()
        return not self._endings

    def _is_known(self, pid: int) -> bool:
        return pid in self._pids or pid in self._zygotes or pid == self._supervisor_pid

    def _after(self, seconds: float, function: Callable[..., None], *arguments: Any) -> None:
        self._timed += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._timed, function, arguments))

    def _flush(self) -> None:
        for frames in list(self._to_flush):
            try:
                done = frames.flush()
            except OSError:
                done = True  # whoever reads from it finds out
            if done:
                self._to_flush.discard(frames)
            if done == (frames in self._blocked):
                self._await_room(frames, not done)

    def _await_room(self, frames: FrameSocket, wanted: bool) -> None:
        """Have the selector tell when there is room to send, or no longer."""
        change = self._blocked.add if wanted else self._blocked.discard
        change(frames)
        try:
            handler = self._selector.get_key(frames).data
        except (KeyError, ValueError):
            return  # it has been closed
        more = selectors.EVENT_WRITE if wanted else 0
        self._selector.modify(frames, selectors.EVENT_READ | more, handler)

    def _send(self, frames: FrameSocket, message: Any) -> None:
        frames.send(message)
        self._to_flush.add(frames)

    # --- the supervisor -----------------------------------------------------------------------

    def _accept(self, _: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        size = struct.calcsize("3i")
        pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if uid != os.getuid():
            connection.close()
            return
        connection.setblocking(False)
        self._drop_supervisor()
        frames = self._supervisor = FrameSocket(connection)
        self._supervisor_pid = pid
        self._selector.register(frames, selectors.EVENT_READ, lambda _: self._hear_supervisor(frames))
        hello = {"op": "hello", "protocol": PROTOCOL, "pid": os.getpid()}
        self._send(frames, {**hello, "log": self._log.path, "offset": self._log.size})

    def _drop_supervisor(self) -> None:
        frames, self._supervisor = self._supervisor, None
        if frames is not None:
            self._selector.unregister(frames)
            self._to_flush.discard(frames)
            self._blocked.discard(frames)
            frames.close()
            self._quiet_since = time.monotonic()
        for job in self._rooms.clear():
            del self._jobs[job.key]  # whoever comes next sends it anew

    def _hear_supervisor(self, frames: FrameSocket) -> None:
        if frames is not self._supervisor:
            return
        try:
            for message in frames.receive():
                self._obey(message)
        except Exception as error:
            # At its end; or what it says makes no sense, and another one may say better.
            if not isinstance(error, EOFError):
                complain(error)
            self._drop_supervisor()
            self._after(0.1, self._supervise)

    def _obey(self, message: dict[str, Any]) -> None:
        self._tried, self._unseen = 0, False
        match message["op"]:
            case "start":
                self._start(message)
            case "kill":
                job = self._jobs.get((message["id"], message["attempt"]))
                if job is not None and self._rooms.holds(job):
                    job.cause = message.get("cause") or "cancel"
                    self._end(job, -signal.SIGTERM, None)
                elif job is not None:
                    self._stop_job(job, message.get("cause") or "cancel", message.get("grace") or 0.0)
            case "compact":
                self._compact(message.get("offset"))
            case "stop":
                self._stopping = True

    def _tell(self, event: dict[str, Any]) -> None:
        self._unseen = True
        if self._supervisor is not None:
            self._send(self._supervisor, event)

    def _tell_soon(self, event: dict[str, Any]) -> None:
        """Tell something that can wait a little, for something else to be told with it."""
        self._unseen = True
        if self._supervisor is not None:
            self._supervisor.send(event)
            if not self._to_tell:
                self._to_tell = True
                self._after(SOON, self._tell_now)

    def _tell_now(self) -> None:
        self._to_tell = False
        if self._supervisor is not None:
            self._to_flush.add(self._supervisor)

    def _compact(self, offset: int | None) -> None:
        lines = []
        for job in self._jobs.values():
            if self._rooms.holds(job):
                continue
            lines.append(start_line(job.id, job.attempt, job.started or time.time()))
            if job.pid is not None:
                lines.append(process_line(job.id, job.attempt, job.pid, job.starttime))
        try:
            self._log.compact([keeper_line(time.time()), *lines], offset)
        except OSError as error:
            complain(error)
        self._unseen = False
        self._tell({"op": "compacted", "log": self._log.path, "offset": self._log.size})

    def _supervise(self) -> None:
        """Start a supervisor where there is none, and something that it has to know."""
        if self._supervisor is not None or not self._command or self._stopping:
            return
        if not self._jobs and (not self._unseen or self._tried >= SUPERVISORS):
            return
        self._tried += 1
        argv = [os.fsencode(word) for word in self._command]
        try:
            launching.spawn(argv, launching.without_marks(os.environb), (self._null, 1, 2), self._ignored)
        except StartFailed as failed:
            complain(failed)
        self._after(min(0.5 * 2**self._tried, BACK_OFF), self._supervise)

    # --- starting -----------------------------------------------------------------------------

    def _start(self, order: dict[str, Any]) -> None:
        job = Job(order, self._state)
        if job.key in self._jobs:
            return
        self._stopping = False
        self._jobs[job.key] = job
        # The log is common to all jobs, so that from the first one that asks for it on, all lines
        # reach the disk.
        self._log.durable = self._log.durable or job.durable
        if self._rooms.enter(job):
            self._begin(job)

    def _begin(self, job: Job) -> None:
        """Start a job that has its slots."""
        try:
            self._write(start_line(job.id, job.attempt, time.time()), sync=True)
            launching.make_spool(job.spool)
            if job.is_call:
                self._send_call(job)
            else:
                self._spawn(job)
        except StartFailed as failed:
            self._not_started(job, failed)
        except OSError as error:
            self._not_started(job, StartFailed(launching.NOT_EXECUTABLE, f"cannot start: {error}"))
        except Exception as error:
            complain(error)
            self._not_started(job, StartFailed(launching.NOT_EXECUTABLE, f"cannot start: {error!r}"))

    def _not_started(self, job: Job, failed: StartFailed) -> None:
        job.cause = "start-failed"
        self._end(job, failed.code, None, failed.message)

    def _spawn(self, job: Job) -> None:
        environment = self._environments.load(job.environment)
        if job.what.get("files"):
            launching.lay_files(job.spool, job.what["files"])
        streams = launching.open_streams(job.spool, job.what.get("stdin"), self._null)
        try:
            launching.enter(job.cwd)
            variables = {**environment.variables, **job.extra, **job.marks}
            before = process_table.ticks()
            pid = launching.spawn(job.what["argv"], variables, streams, self._ignored)
        finally:
            os.chdir("/")
            launching.close_all([fd for fd in streams if fd != self._null])
        # To ask /proc would wait for the new process's exec; mostly there is but one tick it can be.
        self._runs(job, pid, before if before == process_table.ticks() else process_table.start_time(pid))

    def _runs(self, job: Job, pid: int, starttime: int) -> None:
        """A job has its process, which started at a tick."""
        job.pid, job.started, job.starttime = pid, time.time(), starttime
        self._pids[pid] = job
        try:
            self._write(process_line(job.id, job.attempt, pid, job.starttime))
        except OSError as error:
            complain(error)  # its mark finds it, too
        self._tell_soon(
            {"op": "started", "id": job.id, "attempt": job.attempt, "pid": pid, "time": job.started}
        )
        if job.walltime is not None:
            self._after(job.walltime, self._overdue, job)

    # --- calls --------------------------------------------------------------------------------

    def _send_call(self, job: Job) -> None:
        """Send a call to the zygote for it. It is not waited for: its reports come."""
        zygote = self._zygote_for(job)
        launching.enter(job.cwd)
        os.chdir("/")
        self._sends += 1
        job.send = self._sends
        job.sends += 1
        job.zygote = zygote
        zygote.jobs[job.send] = job
        self._send(zygote.frames, zygote_pool.order_for(job))

    def _zygote_for(self, job: Job) -> Zygote:
        environment = self._environments.load(job.environment)
        key = zygote_pool.key_of(job.what, environment.digest)
        zygote = self._warm.get(key)
        if zygote is None or not zygote.usable:
            variables, descriptors = environment.variables, (self._null, 1)
            zygote = Zygote(key, job.what, variables, self._state, descriptors, self._ignored)
            self._warm[key] = self._zygotes[zygote.pid] = zygote
            self._to_flush.add(zygote.frames)
            new = zygote
            self._selector.register(
                zygote.frames, selectors.EVENT_READ, lambda events: self._hear_zygote(new, events)
            )
            self._retire_later()
        return zygote

    def _hear_zygote(self, zygote: Zygote, events: int = selectors.EVENT_READ) -> bool:
        """Read what a zygote reports. Return False at its end, which SIGCHLD tells more of."""
        if zygote.closed or not events & selectors.EVENT_READ:
            return not zygote.closed
        try:
            for report in zygote.frames.receive():
                self._take_report(zygote, *report)
        except (EOFError, OSError):
            self._selector.unregister(zygote.frames)
            self._to_flush.discard(zygote.frames)
            self._blocked.discard(zygote.frames)
            zygote.closed = True
        return not zygote.closed

    def _take_report(self, zygote: Zygote, word: str, *said: Any) -> None:
        if word == "ready":
            zygote.is_ready()
            return
        if word == "failed":
            zygote.failure = f"cannot start: {said[0]}"
            return
        job = zygote.jobs.get(said[0])
        if job is None:
            return  # it was cancelled before it ran
        if word == "forked" and job.pid is None:
            self._runs(job, said[1], said[2] or process_table.start_time(said[1]))
        elif word == "ended":
            job.code = said[1]
        elif word == "reaped":
            self._end_call(job, said[1])
        elif word == "unforked":
            self._not_started(job, StartFailed(launching.NOT_EXECUTABLE, f"cannot start: {said[1]}"))

    def _end_call(self, job: Job, peak: int | None) -> None:
        assert job.code is not None
        if job.code and not os.path.lexists(job.claim):
            said = f"cannot start: {job.claim!r} could not be made; see keeper.err"
            self._not_started(job, StartFailed(launching.NOT_EXECUTABLE, said))
        else:
            self._end(job, job.code, peak)

    def _retire_later(self) -> None:
        if self._zygotes and not self._to_retire:
            self._to_retire = True
            self._after(self._zygote_idle / 4, self._retire)

    def _retire(self) -> None:
        """End zygotes that have had nothing to do for long, and those that are too many."""
        self._to_retire = False
        idle = sorted((z for z in self._zygotes.values() if not z.jobs), key=lambda z: z.idle_since)
        before = time.monotonic() - self._zygote_idle
        for number, zygote in enumerate(idle):
            if zygote.idle_since <= before or number < len(idle) - zygote_pool.KEPT:
                zygote.kill()
                zygote.failure = "it was ended, having had nothing to do"
        self._retire_later()

    # --- the ends of processes ----------------------------------------------------------------

    def _woken(self, _: int) -> None:
        os.read(self._wake, 4096)
        deaths: list[Death] = []
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            deaths.append((pid, os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024))
        dead = [(self._zygotes[pid], code) for pid, code, _ in deaths if pid in self._zygotes]
        for zygote, _ in dead:
            # Its last reports name children that are ours now. One of these may still hold its end
            # of the connection open: so we close it for reading, which leaves what has come.
            zygote.frames.shutdown()
            while self._hear_zygote(zygote):
                pass
        strangers: dict[int, Death] = {}
        for death in deaths:
            self._take_death(death, strangers)
        for zygote, code in dead:
            self._bury(zygote, code, strangers)

    def _take_death(self, death: Death, strangers: dict[int, Death]) -> None:
        pid, code, peak = death
        job = self._pids.get(pid)
        if job is None:
            strangers[pid] = death
        else:
            self._end(job, code, peak if job.is_call else self._peak_of_job(peak))

    def _peak_of_job(self, peak: int) -> int | None:
        """Return a spawned job's own peak; None where it cannot be told from the keeper's.

        Until it execs, Linux counts the memory of its parent for it.
        """
        if peak > self._own_peak:
            self._own_peak = own_peak()
        return peak if peak > self._own_peak else None

    def _bury(self, zygote: Zygote, code: int, strangers: dict[int, Death]) -> None:
        """See to the calls of a zygote that has died. Its children are ours now."""
        del self._zygotes[zygote.pid]
        if self._warm.get(zygote.key) is zygote:
            del self._warm[zygote.key]
        why = zygote.why(code)
        for job in list(zygote.jobs.values()):
            if job.code is not None:
                self._end_call(job, None)
            elif job.pid is None:
                self._settle(job, zygote, why, strangers)
        zygote.close()

    def _settle(self, job: Job, zygote: Zygote, why: str, strangers: dict[int, Death]) -> None:
        """Find out whether a child of a dead zygote runs this call; send it elsewhere if none does."""
        if self._jobs.get(job.key) is not job or job.zygote is not zygote:
            return
        try:
            holder = zygote_pool.claim(job)
        except OSError as error:
            complain(error)
            self._after(AGAIN, self._settle, job, zygote, why, strangers)
            return
        zygote.remove(job)
        if holder is None:
            self._send_again(job, why)
            return
        self._runs(job, holder, process_table.start_time(holder))
        if holder in strangers:
            self._take_death(strangers[holder], {})
        elif not job.starttime:
            self._end(job, -signal.SIGKILL, None, "its end was not seen: its zygote was killed with it")

    def _send_again(self, job: Job, why: str) -> None:
        job.zygote = None
        if not why and job.sends >= zygote_pool.TRIES:
            why = f"cannot start: {job.sends} zygotes were killed before they came to it"
        try:
            if why:
                raise StartFailed(launching.NOT_EXECUTABLE, why)
            self._send_call(job)
        except StartFailed as failed:
            self._not_started(job, failed)
        except OSError as error:
            self._not_started(job, StartFailed(launching.NOT_EXECUTABLE, f"cannot start: {error}"))

    def _end(self, job: Job, code: int, peak: int | None, message: str = "") -> None:
        """A job has ended: write it, tell it, and see to what it has left behind."""
        del self._jobs[job.key]
        if job.zygote is not None:
            job.zygote.remove(job)
        event = {
            "op": "ended",
            "id": job.id,
            "attempt": job.attempt,
            "code": code,
            "cause": job.cause,
            "message": message,
            "started": job.started,
            "finished": time.time(),
            "peak_memory": peak,
            "pid": job.pid,
        }
        self._write_end(event)
        self._tell({**event, "offset": self._log.size})
        if job.pid is not None:
            del self._pids[job.pid]
            self._endings.has_ended(job.key, job.pid, job.starttime, job.grace)
        job.forget()
        for following in self._rooms.leave(job):
            self._begin(following)

    # --- the log ------------------------------------------------------------------------------

    def _write(self, line: bytes, sync: bool = False) -> None:
        """Write a line, after those that could not be written before.

        Raises:
            OSError: it cannot be written.
        """
        while self._unlogged:
            self._log.append(self._unlogged[0], sync=True)
            del self._unlogged[0]
        self._log.append(line, sync=sync)

    def _write_end(self, event: dict[str, Any]) -> None:
        line = end_line(event)
        try:
            self._write(line, sync=True)
        except OSError as error:
            complain(error)
            self._unlogged.append(line)
            self._after(AGAIN, self._write_rest)

    def _write_rest(self) -> None:
        try:
            self._write(b"")
        except OSError:
            self._after(AGAIN, self._write_rest)

    # --- ending -------------------------------------------------------------------------------

    def _overdue(self, job: Job) -> None:
        if self._jobs.get(job.key) is job:
            self._stop_job(job, "walltime", job.grace)

    def _stop_job(self, job: Job, cause: str, grace: float) -> None:
        """End a job that has not ended, with all its processes."""
        if self._jobs.get(job.key) is not job:
            return
        ending = self._endings.get(job.key)
        if ending is not None:
            ending.hurry(grace)
            return
        job.cause = job.cause or cause
        if job.pid is None:
            try:
                holder = zygote_pool.claim(job)
            except OSError:
                self._after(AGAIN, self._stop_job, job, cause, grace)
                return
            if holder is None:
                self._end(job, -signal.SIGTERM, None)
                return
            self._runs(job, holder, process_table.start_time(holder))
        assert job.pid is not None
        self._endings.begin(Termination(job.key, job.pid, job.starttime, grace))


# --- starting -----------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Keep jobs until there is nothing more to do; at once where another keeper does. Return 0.

    Takes ``--state DIR --runtime DIR``, and ``--supervisor JSON`` (its command), ``--idle SECONDS``,
    ``--zygote-idle SECONDS``.
    Lock, log and ``keeper.err`` are in ``hosts/HOST`` below the state directory, since several hosts
    may share that.
    """
    given = sys.argv[1:] if arguments is None else arguments
    options = dict(zip(given[::2], given[1::2], strict=True))
    state, runtime = os.path.abspath(options["--state"]), os.path.abspath(options["--runtime"])
    logs = os.path.join(state, "hosts", os.uname().nodename)
    os.makedirs(logs, 0o700, exist_ok=True)
    for directory in (state, logs, runtime):
        trust(directory)
    detach(os.path.join(logs, "keeper.err"))
    lock = os.open(os.path.join(logs, "keeper.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    adopt_orphans()
    idle, zygote_idle = float(options.get("--idle", 10)), float(options.get("--zygote-idle", 60))
    log = LogWriter(os.path.join(logs, "keeper.log"))
    log.append(keeper_line(time.time()))
    path = os.path.join(runtime, "keeper.sock")
    listener = listen(path)
    supervisor: list[str] = json.loads(options.get("--supervisor", "[]"))
    keeper = Keeper(
        state,
        listener,
        log,
        supervisor=supervisor,
        idle=idle,
        zygote_idle=zygote_idle,
    )
    keeper.run()
    os.unlink(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The zygotes of a keeper, one for each kind of environment among calls: what they are sent, and report."""

from __future__ import annotations

import os
import time

from anyjob.builtin.local import process_table
from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.keeper.launch.errors import NOT_EXECUTABLE, StartFailed
from anyjob.builtin.local.keeper.launch.job_directory import change_directory, make_directory
from anyjob.builtin.local.keeper.launch.worker_pool import WorkerPool
from anyjob.builtin.local.keeper.launch.zygote_process import ZygoteProcess, call_order, claim_for_keeper
from anyjob.builtin.local.keeper.processes.usage import UNKNOWN, usage_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.keeper.launch.environments import Environment, Environments
    from anyjob.builtin.local.keeper.launch.program import Spawner
    from anyjob.builtin.local.keeper.launch.worker_process import WorkerProcess
    from anyjob.builtin.local.keeper.processes.reaper import Death
    from anyjob.builtin.local.keeper.processes.usage import Usage

    class CallEvents(Protocol):
        """Who is to know what happens to calls."""

        def process_started(self, job: Job, pid: int, starttime: int) -> None:
            """A child runs the call, which started at a tick."""

        def process_adopted(self, job: Job, pid: int, unknown: dict[int, Death]) -> None:
            """A child of a dead zygote runs the call, and is ours now; it may be among the deaths."""

        def job_ended(self, job: Job, code: int, usage: Usage = UNKNOWN) -> None:
            """The call has ended."""

        def call_returned(
            self, job: Job, code: int, report: bytes | None, usage: Usage, following: Job | None
        ) -> None:
            """The call has ended, and its process goes on, with another one if there is one."""

        def calls_after(self, job: Job, count: int) -> list[Job]:
            """Return calls that wait, and may be made by the same process after this one, in its slots."""

        def calls_taken_back(self, jobs: list[Job]) -> None:
            """These have not begun, and are to wait again."""

        def flush_ends(self) -> None:
            """Write now what is to be written of calls that have ended."""

        def process_lost(self, job: Job) -> bool:
            """The process has ended before it began with the call; return whether that is still to run."""

        def start_failed(self, job: Job, failure: StartFailed) -> None:
            """The call cannot be run."""


KEPT = 8
"""Zygotes that are kept though they have nothing to do."""
TRIES = 25
"""Zygotes that are tried for one call, where each is killed before it has forked."""
RETRY = 0.2
"""Seconds after which it is asked again who runs a call."""


class ZygotePool:
    """The zygotes, and which of them is sent what.

    Args:
        loop: the keeper's event loop.
        environments: what jobs have as environments.
        spawner: what starts zygotes.
        state: the keeper's state directory, which they are marked with.
        worker_logs: the directory of the logs of workers.
        events: who is to know what happens to calls.
        idle: seconds after which a zygote that has nothing to do is ended.
    """

    def __init__(
        self,
        loop: EventLoop,
        environments: Environments,
        spawner: Spawner,
        state: bytes,
        worker_logs: str,
        events: CallEvents,
        idle: float,
    ) -> None:
        self._loop = loop
        self._environments = environments
        self._spawner = spawner
        self._state = state
        self._events = events
        self._idle = idle
        self._by_pid: dict[int, ZygoteProcess] = {}
        self._by_key: dict[Any, ZygoteProcess] = {}
        self._dispatches = 0
        self._to_retire = False
        self.workers = WorkerPool(loop, events, worker_logs, self._worker_lost)

    def __contains__(self, pid: int) -> bool:
        return pid in self._by_pid

    def kill_all(self) -> None:
        """End all of them."""
        for zygote in self._by_pid.values():
            zygote.kill()

    def dispatch(self, job: Job) -> None:
        """Send a call to the zygote for it. It is not waited for: its reports come.

        Raises:
            StartFailed: there is no such zygote, environment or working directory.
        """
        make_directory(job)  # unless it was: a worker that was to make it may not have come to that
        zygote = self._zygote_for(job)
        change_directory(job.cwd)
        os.chdir("/")
        self._enlist(job, zygote)
        if job.recycle:
            self.workers.dispatch(job, zygote, self._dispatches)
        else:
            self._loop.send(zygote.frames, call_order(job))

    def go_together(self, job: Job, other: Job) -> bool:
        """Tell whether a process that makes one call may make the other after it."""
        if not (job.starts_quietly and other.starts_quietly) or job.recycle != other.recycle:
            return False
        one, two = job.work, other.work
        same = job.environment == other.environment and job.cwd == other.cwd
        return same and all(one[what] == two[what] for what in ("python", "path", "preload"))

    def follow(self, job: Job, other: Job) -> None:
        """A call is sent to the worker that makes another one."""
        assert other.zygote is not None
        self._enlist(job, other.zygote)

    def _enlist(self, job: Job, zygote: ZygoteProcess) -> None:
        if job.zygote is not None:
            job.zygote.remove(job)
        self._dispatches += 1
        job.dispatch_id = self._dispatches
        job.dispatches += 1
        job.zygote = zygote
        zygote.jobs[job.dispatch_id] = job

    def take_back(self, job: Job) -> None:
        """A call that was sent to a worker has not begun, and waits again."""
        if job.zygote is not None:
            job.zygote.remove(job)
        job.zygote = None
        job.dispatches = 0

    def _zygote_for(self, job: Job) -> ZygoteProcess:
        work = job.work
        environment = self._environments.load(job.environment)
        key = (work["python"], tuple(work["path"]), environment.key, tuple(work["preload"]))
        zygote = self._by_key.get(key)
        if zygote is None or not zygote.is_usable:
            zygote = self._start(key, work, environment)
        return zygote

    def _start(self, key: Any, work: Mapping[str, Any], environment: Environment) -> ZygoteProcess:
        zygote = ZygoteProcess(key, work, environment, self._state, self._spawner)
        self._by_key[key] = self._by_pid[zygote.pid] = zygote
        self._loop.add_reader(zygote.frames, lambda: self._receive(zygote))
        self._loop.send(zygote.frames, (work["path"], work["preload"]))
        self._retire_later()
        return zygote

    # --- its reports --------------------------------------------------------------------------

    def _receive(self, zygote: ZygoteProcess) -> None:
        """Read what a zygote reports. At its end, SIGCHLD tells more."""
        try:
            for report in zygote.frames.receive():
                self._take_report(zygote, *report)
        except (EOFError, OSError):
            self._loop.remove_reader(zygote.frames)
            zygote.is_closed = True

    def _take_report(self, zygote: ZygoteProcess, kind: str, *fields: Any) -> None:
        if kind == "ready":
            zygote.has_started()
            return
        if kind == "failed":
            zygote.failure = f"cannot start: {fields[0]}"
            return
        worker = zygote.workers.get(fields[0])
        if worker is not None:
            self._take_worker_report(worker, kind, *fields[1:])
            return
        job = zygote.jobs.get(fields[0])
        if job is None:
            return  # it was cancelled before it ran
        if kind == "forked" and job.pid is None:
            self._events.process_started(job, fields[1], fields[2] or process_table.start_time(fields[1]))
        elif kind == "exited":
            job.code = fields[1]
        elif kind == "reaped":
            self._end(job, usage_of(*fields[1:]))
        elif kind == "fork-failed":
            self._fail(job, f"cannot start: {fields[1]}")

    def _take_worker_report(self, worker: WorkerProcess, kind: str, *fields: Any) -> None:
        if kind == "exited":
            self.workers.exited(worker, fields[0])
        elif kind == "reaped":
            self.workers.reaped(worker, usage_of(*fields))
        elif kind == "fork-failed":
            job = self.workers.fork_failed(worker)
            if job is not None:
                self._fail(job, f"cannot start: {fields[0]}")

    def _worker_lost(self, job: Job, failure: str) -> None:
        if job.zygote is not None:
            job.zygote.remove(job)
        if self._events.process_lost(job):
            self._dispatch_again(job, failure)

    def _end(self, job: Job, usage: Usage) -> None:
        assert job.code is not None
        # One that was ended by a signal before it came to its claim has not failed to make it.
        if job.code > 0 and not os.path.lexists(job.claim):
            self._fail(job, f"cannot start: {job.claim!r} could not be made; see keeper.err")
        else:
            self._events.job_ended(job, job.code, usage)

    def _fail(self, job: Job, message: str) -> None:
        self._events.start_failed(job, StartFailed(NOT_EXECUTABLE, message))

    # --- its death ----------------------------------------------------------------------------

    def receive_last(self, pid: int) -> None:
        """A zygote has died: read its last reports, which name children that are ours now.

        One of these may still hold its end of the connection open: so we close it for reading, which
        leaves what has come.
        """
        zygote = self._by_pid[pid]
        zygote.frames.shutdown()
        while not zygote.is_closed:
            self._receive(zygote)
        self.workers.receive_new(zygote)

    def remove_dead(self, pid: int, code: int, unknown: dict[int, Death]) -> None:
        """See to the calls of a zygote that has died. Its children are ours now.

        Args:
            pid: the zygote.
            code: the code that it ended with.
            unknown: the deaths of children of ours that were of no job that we knew.
        """
        zygote = self._by_pid.pop(pid)
        if self._by_key.get(zygote.key) is zygote:
            del self._by_key[zygote.key]
        failure = zygote.start_failure(code)
        for job in list(zygote.jobs.values()):
            if job.code is not None:
                self._end(job, UNKNOWN)
            elif job.pid is None and not job.recycle:
                self._adopt_or_dispatch(job, zygote, failure, unknown)
        self.workers.lost_zygote(zygote, failure)
        zygote.close()

    def _adopt_or_dispatch(
        self, job: Job, zygote: ZygoteProcess, failure: str, unknown: dict[int, Death]
    ) -> None:
        """Find out whether a child of a dead zygote runs this call; send it to another if none does."""
        if job.zygote is not zygote:
            return  # it has ended
        try:
            holder = claim_for_keeper(job)
        except OSError as error:
            log_error(error)
            self._loop.call_later(RETRY, self._adopt_or_dispatch, job, zygote, failure, unknown)
            return
        zygote.remove(job)
        if holder is None:
            self._dispatch_again(job, failure)
        else:
            self._events.process_adopted(job, holder, unknown)

    def _dispatch_again(self, job: Job, failure: str) -> None:
        job.zygote = None
        if not failure and job.dispatches >= TRIES:
            failure = f"cannot start: {job.dispatches} zygotes were killed before they came to it"
        if failure:
            self._fail(job, failure)
            return
        try:
            self.dispatch(job)
        except StartFailed as error:
            self._events.start_failed(job, error)
        except OSError as error:
            self._fail(job, f"cannot start: {error}")

    # --- when it is idle ----------------------------------------------------------------------

    def _retire_later(self) -> None:
        if self._by_pid and not self._to_retire:
            self._to_retire = True
            self._loop.call_later(self._idle / 4, self._retire)

    def _retire(self) -> None:
        """End zygotes that have had nothing to do for long, and those that are too many."""
        self._to_retire = False
        idle = sorted((z for z in self._by_pid.values() if not z.jobs), key=lambda z: z.idle_since)
        before = time.monotonic() - self._idle
        for number, zygote in enumerate(idle):
            if zygote.idle_since <= before or number < len(idle) - KEPT:
                for worker in zygote.idle_workers:
                    self.workers.retire(worker)
                zygote.kill()
                zygote.failure = "it was ended, having had nothing to do"
        self._retire_later()

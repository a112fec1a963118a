"""The workers of a keeper: calls that may share a process go to one that is idle, without a fork."""

from __future__ import annotations

import os
import signal

from anyjob.builtin.local import process_table
from anyjob.builtin.local.keeper.launch.worker_process import WorkerProcess
from anyjob.builtin.local.keeper.launch.zygote_process import call_order
from anyjob.builtin.local.keeper.processes.usage import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.keeper.launch.zygote_process import ZygoteProcess
    from anyjob.builtin.local.keeper.processes.usage import Usage

    class WorkerEvents(Protocol):
        """Who is to know what happens to the calls that workers make."""

        def process_started(self, job: Job, pid: int, starttime: int) -> None:
            """A worker makes the call."""

        def call_returned(self, job: Job, code: int, report: bytes | None, usage: Usage) -> None:
            """The call has ended, and its process goes on."""

        def job_ended(self, job: Job, code: int, usage: Usage = UNKNOWN) -> None:
            """The call has ended with its process."""


RETIREMENT = 10.0
"""Seconds that a worker may take to end that has nothing to do; then it is killed."""


class WorkerPool:
    """The workers, and which of them is sent what.

    A call is sent to a worker that is there, and it is written that the call starts, before that can begin.
    One that has ended has read the call, so that it may have begun; or has not, and another one is sent it.

    Args:
        loop: the keeper's event loop.
        events: who is to know what happens to calls.
        dispatch_again: called with a call whose worker has ended before it has read it, and why no other one
            would do better, if that is known.
    """

    def __init__(
        self, loop: EventLoop, events: WorkerEvents, dispatch_again: Callable[[Job, str], object]
    ) -> None:
        self._loop = loop
        self._events = events
        self._dispatch_again = dispatch_again
        self._by_pid: dict[int, WorkerProcess] = {}

    def __contains__(self, pid: int) -> bool:
        return pid in self._by_pid

    def dispatch(self, job: Job, zygote: ZygoteProcess, number: int) -> None:
        """Send a call to a worker of a zygote; have a new one forked where none is idle.

        Args:
            job: the call.
            zygote: of whose children one is to make it.
            number: what a new one is known by.

        Raises:
            OSError: there are too many descriptors.
        """
        while zygote.idle_workers:
            worker = zygote.idle_workers.pop()
            if worker.is_usable:
                worker.job, job.worker = job, worker
                self._send(worker, job)
                return
        worker = zygote.workers[number] = WorkerProcess(number, zygote, job)
        job.worker = worker
        self._loop.add_reader(worker.frames, lambda: self._receive(worker))
        self._loop.send(zygote.frames, {"dispatch_id": number, "recycle": job.recycle})

    def _send(self, worker: WorkerProcess, job: Job) -> None:
        assert worker.pid is not None
        self._events.process_started(job, worker.pid, worker.starttime)
        self._loop.send(worker.frames, call_order(job))

    # --- what it reports ----------------------------------------------------------------------

    def receive_new(self, zygote: ZygoteProcess) -> None:
        """Read what the workers of a zygote say that have not said yet who they are."""
        for worker in list(zygote.workers.values()):
            if worker.pid is None and not worker.is_closed:
                self._receive(worker)

    def _receive(self, worker: WorkerProcess) -> None:
        try:
            for report in worker.frames.receive():
                self._take_report(worker, *report)
        except (EOFError, OSError):
            self._close(worker)
            self._settle(worker)

    def _take_report(self, worker: WorkerProcess, kind: str, *fields: Any) -> None:
        job = worker.job
        if kind == "ready":
            worker.pid = fields[0]
            worker.starttime = process_table.start_time(fields[0])
            self._by_pid[fields[0]] = worker
            if job is not None:
                self._send(worker, job)
            else:
                self._idle(worker)
        elif job is not None:
            worker.has_told(fields[2])
            worker.job = job.worker = None
            if job.cause is not None:
                worker.is_used_up = True  # it is being terminated
            else:
                self._idle(worker)
            self._events.call_returned(job, *fields)

    def _idle(self, worker: WorkerProcess) -> None:
        if worker.zygote is not None and worker.is_usable:
            worker.zygote.idle_workers.append(worker)
        else:
            self.retire(worker)

    # --- its end ------------------------------------------------------------------------------

    def retire(self, worker: WorkerProcess) -> None:
        """Have a worker end that has nothing to do; it does once it finds its channel closed."""
        worker.is_used_up = True
        self._close(worker)
        self._loop.call_later(RETIREMENT, self._kill, worker)

    def _kill(self, worker: WorkerProcess) -> None:
        if worker.pid in self._by_pid:
            os.kill(worker.pid, signal.SIGKILL)

    def withdraw(self, job: Job) -> bool:
        """Take back a call that waits for its worker to be there; return whether that was possible."""
        worker = job.worker
        if worker is None or worker.pid is not None:
            return False
        worker.job = job.worker = None
        return True

    def died(self, pid: int, code: int, usage: Usage) -> None:
        """A worker has died, and was reaped by us, since its zygote had died before it."""
        self.exited(self._by_pid[pid], code)
        self.reaped(self._by_pid[pid], usage)

    def exited(self, worker: WorkerProcess, code: int) -> None:
        """A worker has died: read what it said last.

        A process that a call has left behind may still hold its end of the channel open: so we close ours
        for reading, which leaves what has come.
        """
        worker.code = code
        if not worker.is_closed:
            worker.frames.shutdown()
        while not worker.is_closed:
            self._receive(worker)

    def reaped(self, worker: WorkerProcess, usage: Usage) -> None:
        """A worker that has died was reaped: nothing more is to be heard of it."""
        worker.usage = worker.usage_of_last(usage)
        self._settle(worker, is_reaped=True)

    def lost_zygote(self, zygote: ZygoteProcess, failure: str) -> None:
        """A zygote has died: its workers are our children now, and do not get any more calls.

        Args:
            zygote: which one.
            failure: why it could not start, if that is so.
        """
        for worker in list(zygote.workers.values()):
            worker.zygote, worker.failure = None, failure
            if worker.code is not None:
                self._settle(worker, is_reaped=True)
            elif worker.job is None and not worker.is_closed and worker.pid is not None:
                self.retire(worker)
            else:
                self._settle(worker)
        zygote.workers.clear()
        zygote.idle_workers.clear()

    def fork_failed(self, worker: WorkerProcess) -> Job | None:
        """There is no such worker, and will not be; return the call that it was for."""
        self._close(worker)
        job, worker.job = worker.job, None
        self._forget(worker)
        return job

    def _close(self, worker: WorkerProcess) -> None:
        if not worker.is_closed:
            worker.is_closed = True
            self._loop.remove_reader(worker.frames)
            worker.frames.close()

    def _settle(self, worker: WorkerProcess, *, is_reaped: bool = False) -> None:
        """See to the call of a worker once nothing more is to be heard of it."""
        if not worker.has_ended or (worker.code is not None and not is_reaped):
            return
        self._forget(worker)
        job, worker.job = worker.job, None
        if job is None:
            return
        job.worker = None
        if worker.code is not None and worker.has_begun:
            self._events.job_ended(job, worker.code, worker.usage)
        else:
            self._dispatch_again(job, worker.failure)

    def _forget(self, worker: WorkerProcess) -> None:
        if worker.pid is not None:
            self._by_pid.pop(worker.pid, None)
        if worker.zygote is not None:
            worker.zygote.workers.pop(worker.number, None)

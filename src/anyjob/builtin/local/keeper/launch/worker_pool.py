"""The workers of a keeper: calls that may share a process go to one that is idle, without a fork."""

from __future__ import annotations

import os
import signal
import time

from anyjob.builtin.local import process_table
from anyjob.builtin.local.error_log import log_error
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
            """A worker makes the call, or is to."""

        def call_returned(
            self, job: Job, code: int, report: bytes | None, usage: Usage, following: Job | None
        ) -> None:
            """The call has ended, and its process goes on, with another one if there is one."""

        def job_ended(self, job: Job, code: int, usage: Usage = UNKNOWN) -> None:
            """The call has ended with its process."""

        def calls_after(self, job: Job, count: int) -> list[Job]:
            """Return calls that wait, and may be made by the same process after this one, in its slots."""

        def calls_taken_back(self, jobs: list[Job]) -> None:
            """These have not begun, and are to wait again."""

        def flush_ends(self) -> None:
            """Write now what is to be written of calls that have ended."""


RETIREMENT = 10.0
"""Seconds that a worker may take to end that has nothing to do; then it is killed."""
LOOK = 0.005
"""Seconds between two looks at what workers have logged, while some of them have more than they make."""
LONG = 0.02
"""Seconds after which a call is one that others do not wait behind."""


class WorkerPool:
    """The workers, and which of them has what.

    A worker that makes short calls is given some of the next ones while it makes one, so that neither waits
    for the other; those that it has not begun are taken back as soon as it matters who makes them.

    Args:
        loop: the keeper's event loop.
        events: who is to know what happens to calls.
        logs: the directory of the workers' logs.
        dispatch_again: called with a call whose worker has ended before it has begun it, and why no other one
            would do better, if that is known.
    """

    def __init__(
        self,
        loop: EventLoop,
        events: WorkerEvents,
        logs: str,
        dispatch_again: Callable[[Job, str], object],
    ) -> None:
        self._loop = loop
        self._events = events
        self._logs = logs
        self._dispatch_again = dispatch_again
        self._by_pid: dict[int, WorkerProcess] = {}
        self._to_feed: dict[WorkerProcess, None] = {}
        self._looks_soon = False

    def __contains__(self, pid: int) -> bool:
        return pid in self._by_pid

    def dispatch(self, job: Job, zygote: ZygoteProcess, number: int) -> None:
        """Send a call to a worker of a zygote; have a new one forked where none is idle.

        Args:
            job: the call.
            zygote: of whose children one is to make it.
            number: what a new one is known by.

        Raises:
            OSError: there are too many descriptors, or no room for the log of a new one.
        """
        while zygote.idle_workers:
            worker = zygote.idle_workers.pop()
            if worker.is_usable:
                job.worker = worker
                worker.begin(job)
                self._send(worker, job)
                return
        log = f"{self._logs}/{os.getpid()}-{number}"
        worker = zygote.workers[number] = WorkerProcess(number, zygote, job, log)
        job.worker = worker
        self._loop.add_reader(worker.frames, lambda: self._receive(worker))
        self._loop.send(zygote.frames, {"dispatch_id": number, "recycle": job.recycle})

    def _send(self, worker: WorkerProcess, job: Job) -> None:
        assert worker.pid is not None
        worker.given.append(job)
        if not job.starts_quietly:
            self._events.process_started(job, worker.pid, worker.starttime)
        self._feed_soon(worker)

    # --- giving ahead ---------------------------------------------------------------------------

    def _feed_soon(self, worker: WorkerProcess) -> None:
        """At the end of this turn, when all is known that waits, send a worker what it is to have."""
        if not self._to_feed:
            self._loop.call_later(0, self._feed)
        self._to_feed[worker] = None

    def _feed(self) -> None:
        workers, self._to_feed = self._to_feed, {}
        for worker in workers:
            job = worker.job
            if worker.is_usable and job is not None and job.cause is None and job.starts_quietly:
                lacking = worker.depth - len(worker.ahead)
                if lacking > 0:
                    more = self._events.calls_after(job, lacking)
                    for each in more:
                        each.worker = worker
                    worker.ahead += more
                    worker.given += more
            given, worker.given = worker.given, []
            if given and not worker.is_closed:
                self._loop.send(worker.frames, [call_order(each) for each in given])
                self._loop.flush(worker.frames)
                worker.give(given)
            self._look_soon()

    def _look_soon(self) -> None:
        if not self._looks_soon:
            self._looks_soon = True
            self._loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        """See what workers have done that do not say so by themselves, since they have more to do."""
        self._looks_soon = False
        now = time.monotonic()
        for worker in list(self._by_pid.values()):
            if worker.ahead:
                self._read(worker)
            if now - worker.since >= LOOK:
                self._started(worker)
            if worker.ahead and now - worker.since >= LONG:
                self._take_back(worker)
        if any(worker.ahead or _is_untold(worker) for worker in self._by_pid.values()):
            self._look_soon()

    def _started(self, worker: WorkerProcess) -> None:
        """Its call is not one of those that have ended before anybody knows that they have begun."""
        if worker.job is not None and worker.pid is not None and worker.job.pid is None:
            self._events.process_started(worker.job, worker.pid, worker.starttime)

    def take_back_all(self) -> None:
        """Take back what no worker has begun; what they make, or are to make next, has started."""
        self._take_back(*self._by_pid.values())
        for worker in list(self._by_pid.values()):
            self._started(worker)

    def _take_back(self, *workers: WorkerProcess) -> None:
        """Take back what these have not begun; it waits again, in the order that it has waited in."""
        back: list[Job] = []
        for worker in workers:
            if worker.ahead:
                back += self._taken_from(worker)
        if back:
            self._events.calls_taken_back(sorted(back, key=lambda job: job.dispatch_id))

    def _taken_from(self, worker: WorkerProcess) -> list[Job]:
        if worker.is_closed and not worker.has_ended:
            return []  # it may go on with them: its log will tell
        unread = set() if worker.is_closed else worker.take_back()
        self._read(worker)  # by now it has logged the ends of all calls before the one that it took last
        if worker.job is not None and worker.job.dispatch_id in unread:
            worker.give([worker.job])
        back = list(worker.ahead)
        worker.ahead.clear()
        for job in back:
            job.worker = None
        return back

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
        if kind == "idle":
            self._read(worker)
            return
        worker.pid = fields[0]
        worker.starttime = process_table.start_time(fields[0])
        self._by_pid[fields[0]] = worker
        if worker.job is not None:
            worker.begin(worker.job)
            self._send(worker, worker.job)
        else:
            self._idle(worker)

    def _read(self, worker: WorkerProcess) -> None:
        """Take in what a worker has logged since the last time."""
        try:
            records = worker.log.receive()
        except (OSError, ValueError) as error:  # a call has written to it: what it has begun cannot be told
            log_error(error)
            worker.has_begun = True
            self._kill(worker)
            return
        for kind, *fields in records:
            job = worker.job
            if job is None:
                continue
            if kind == "begun":
                worker.has_begun = True
                job.started = job.started or fields[2]
            else:
                self._returned(worker, job, *fields)
        if worker.ahead:
            self._feed_soon(worker)

    def _returned(
        self,
        worker: WorkerProcess,
        job: Job,
        code: int,
        report: bytes | None,
        usage: Usage,
        finished: float,
        seconds: float,
    ) -> None:
        worker.has_told(usage)
        worker.took(seconds)
        following = worker.ahead.popleft() if worker.ahead else None
        worker.begin(following)
        job.worker, job.finished = None, finished
        if job.pid is None:
            job.pid = worker.pid
        if job.cause is not None:
            worker.is_used_up = True  # it is being terminated
        elif following is None:
            self._idle(worker)
        self._events.call_returned(job, code, report, usage, following)

    def _idle(self, worker: WorkerProcess) -> None:
        if worker.zygote is not None and worker.is_usable:
            worker.zygote.idle_workers.append(worker)
        else:
            self.retire(worker)

    # --- its end ------------------------------------------------------------------------------

    def retire(self, worker: WorkerProcess) -> None:
        """Have a worker end that has nothing to do; it does once it finds that nothing will come."""
        if not worker.is_closed:
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
        worker.usage = usage
        self._settle(worker, is_reaped=True)

    def lost_zygote(self, zygote: ZygoteProcess, failure: str) -> None:
        """A zygote has died: its workers are our children now, and do not get any more calls.

        Args:
            zygote: which one.
            failure: why it could not start, if that is so.
        """
        for worker in list(zygote.workers.values()):
            worker.zygote, worker.failure = None, failure
            self._take_back(worker)
            if worker.code is not None:
                self._settle(worker, is_reaped=True)
            elif worker.job is None and worker.pid is not None:
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
        worker.close()
        return job

    def _close(self, worker: WorkerProcess) -> None:
        if not worker.is_closed:
            worker.is_closed = True
            self._loop.remove_reader(worker.frames)
            worker.frames.close()
            worker.stop_giving()

    def _settle(self, worker: WorkerProcess, *, is_reaped: bool = False) -> None:
        """See to the calls of a worker once nothing more is to be heard of it."""
        if not worker.has_ended or (worker.code is not None and not is_reaped):
            return
        self._take_back(worker)
        self._read(worker)
        usage = worker.usage_of_last(worker.usage)
        job, worker.job = worker.job, None
        self._forget(worker)
        if job is not None:
            job.worker = None
            if worker.code is not None and worker.has_begun:
                if job.pid is None:
                    job.pid = worker.pid
                self._events.job_ended(job, worker.code, usage)
            else:
                self._dispatch_again(job, worker.failure)
        self._events.flush_ends()
        worker.close()

    def _forget(self, worker: WorkerProcess) -> None:
        if worker.pid is not None:
            self._by_pid.pop(worker.pid, None)
        if worker.zygote is not None:
            worker.zygote.workers.pop(worker.number, None)


def _is_untold(worker: WorkerProcess) -> bool:
    return worker.job is not None and worker.job.pid is None

"""The jobs of a keeper, from the order to start one to its end: launched, terminated, reaped."""

from __future__ import annotations

import functools
import os
import signal
import time

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.keeper.calls_ahead import CallsAhead
from anyjob.builtin.local.keeper.ends import Ends
from anyjob.builtin.local.keeper.job import Job, Key
from anyjob.builtin.local.keeper.launch.environments import Environments
from anyjob.builtin.local.keeper.launch.errors import NOT_EXECUTABLE, StartFailed
from anyjob.builtin.local.keeper.launch.job_directory import make_directory
from anyjob.builtin.local.keeper.launch.zygote_pool import ZygotePool
from anyjob.builtin.local.keeper.launch.zygote_process import claim_for_keeper
from anyjob.builtin.local.keeper.processes import pausing
from anyjob.builtin.local.keeper.processes.memory_groups import MemoryGroups, mib
from anyjob.builtin.local.keeper.processes.memory_watch import MemoryWatch
from anyjob.builtin.local.keeper.processes.reaper import Death, PeakMemory, reap_children
from anyjob.builtin.local.keeper.processes.termination import Termination, Terminator
from anyjob.builtin.local.keeper.processes.usage import UNKNOWN
from anyjob.builtin.local.keeper.slots import Slots
from anyjob.builtin.local.process_table import send_signal, start_time
from anyjob.text.full_disk import explain, is_full

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.launch.program import Spawner
    from anyjob.builtin.local.keeper.log.job_log import JobLog
    from anyjob.builtin.local.keeper.processes.usage import Usage
    from anyjob.builtin.local.keeper.supervisor_link import SupervisorLink
    from anyjob.builtin.local.process_table import Process

ROOM = 1.0
"""Seconds after which a job that found the disk full is started anew."""
RETRY = 0.2
"""Seconds after which a cancel that could not be done is tried again."""


class JobControl:
    """The jobs that wait for slots or run, and what is left of those that have ended.

    Args:
        loop: the keeper's event loop.
        log: where starts and ends are written.
        link: where they are told.
        spawner: what starts programs.
        state: the state directory, which the jobs are marked with.
        zygote_idle: seconds after which a zygote that has nothing to do is ended.
    """

    def __init__(
        self,
        loop: EventLoop,
        log: JobLog,
        link: SupervisorLink,
        spawner: Spawner,
        state: bytes,
        zygote_idle: float,
    ) -> None:
        self._loop = loop
        self._log = log
        self._link = link
        self._spawner = spawner
        self._state = state
        self._jobs: dict[Key, Job] = {}
        self._by_pid: dict[int, Job] = {}
        self._without_room: set[Job] = set()
        self._slots = Slots()
        self._ends = Ends(loop, log, link)
        self._environments = Environments()
        self._peak_memory = PeakMemory()
        self.zygotes = ZygotePool(
            loop, self._environments, spawner, state, log.worker_logs, self, zygote_idle
        )
        self._ahead = CallsAhead(loop, self._slots, self.zygotes, self._launch)
        self.calls_after, self.calls_taken_back = self._ahead.after, self._ahead.taken_back
        self.flush_ends = self._ends.flush
        self.terminator = Terminator(loop, state, self._jobs.__contains__, self._is_known)
        self.groups = MemoryGroups(loop, state, os.path.dirname(log.worker_logs))
        self._memory = MemoryWatch(loop, self._processes_of, self._end_greedy, self.groups.was_killed_in)

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def _is_known(self, pid: int) -> bool:
        ours = self._by_pid, self.zygotes, self.zygotes.workers
        return pid == self._link.pid or any(pid in known for known in ours)

    def running(self) -> list[Job]:
        """Return the jobs that have been started."""
        self._take_back_calls()
        return [job for job in self._jobs.values() if not self._slots.is_waiting(job)]

    def drop_waiting(self) -> None:
        """Forget the jobs that wait, and that no log names: the supervisor is gone.

        The next one sends them anew: also if they had begun by themselves, and ended, before it does.
        """
        self._take_back_calls()
        dropped = self._slots.drop_waiting()
        for job in [job for job in self._without_room if not job.is_logged]:
            self._without_room.discard(job)
            self._slots.release(job)
            if job.zygote is not None:
                job.zygote.remove(job)
            self.groups.release(job)
            dropped.append(job)
        for job in dropped:
            del self._jobs[job.key]
        for job in self._jobs.values():
            if job.starts_quietly and job.pid is None:  # it has no worker yet, whose log would name it
                self._log.may_have_started(job)
        self._slots.take_back_all()  # it tells us anew which jobs wait for others

    def lend(self, key: Key) -> None:
        """A job waits for others: these may have its slots."""
        self._take_back_calls()
        if key in self._jobs:
            for following in self._slots.lend(self._jobs[key]):
                self._launch(following)

    def take_back(self, key: Key) -> None:
        """A job that has waited for others goes on."""
        self._take_back_calls()
        if key in self._jobs:
            self._slots.take_back(self._jobs[key])

    # --- starting -----------------------------------------------------------------------------

    def start(self, order: dict[str, Any]) -> None:
        """Start a job as soon as it has its slots, unless it is known already.

        Raises:
            ValueError: the order makes no sense.
            KeyError: something is missing in it.
        """
        job = Job(order, self._state)
        if job.key in self._jobs:
            return
        self._jobs[job.key] = job
        if self._slots.acquire(job):
            self._launch(job)

    def _launch(self, job: Job) -> None:
        if self._jobs.get(job.key) is not job:
            return  # it was cancelled, or forgotten, while it waited for room
        self._without_room.discard(job)
        if job.cause is not None:
            self.job_ended(job, -signal.SIGTERM)
            return
        try:
            if not job.starts_quietly:
                self._log.starting(job)
            make_directory(job)
            job.group = self.groups.make(job)
            if job.is_call:
                self.zygotes.dispatch(job)
            else:
                environment = self._environments.load(job.environment)
                self.process_started(job, *self._spawner.start_command(job, environment))
        except StartFailed as failure:
            self.start_failed(job, failure)
        except OSError as error:
            if is_full(error):
                self._launch_later(job, f"{error.filename}: {explain(error)}")
            else:
                self.start_failed(job, StartFailed(NOT_EXECUTABLE, f"cannot start: {error}"))
        except Exception as error:  # a fault of ours in one job: the other jobs need this process
            log_error(error)
            self.start_failed(job, StartFailed(NOT_EXECUTABLE, f"cannot start: {error!r}"))

    def _launch_later(self, job: Job, why: str) -> None:
        """The disk is full, which is no fault of the job: it keeps its slots, and waits for room."""
        self._without_room.add(job)
        self._link.answer({"op": "hindered", "message": why})
        self._loop.call_later(ROOM, self._launch, job)

    def start_failed(self, job: Job, failure: StartFailed) -> None:
        """A job cannot be started; where the disk is full, it is once there is room."""
        if is_full(failure.__cause__):
            self._launch_later(job, failure.message)
            return
        job.cause = "start-failed"
        self.job_ended(job, failure.code, message=failure.message)

    def process_started(self, job: Job, pid: int, starttime: int) -> None:
        """A job has its process, which started at a tick."""
        job.pid, job.starttime = pid, starttime
        job.started = (job.starts_quietly and job.started) or time.time()
        self._by_pid[pid] = job
        if job.starts_quietly:
            self._log.may_have_started(job)
        self._log.process_started(job, pid)
        self._link.tell_soon(
            {"op": "started", "id": job.id, "attempt": job.attempt, "pid": pid, "time": job.started}
        )
        self._memory.add(job)
        if job.walltime is not None:
            job.overdue = self._loop.call_later(job.walltime, self._end_overdue, job)
        if job.warning_due is not None:
            job.warning = self._loop.call_later(job.warning_due, self._warn, job)

    def _take_back_calls(self) -> None:
        """Have no worker have a call that it has not begun: what does not wait for slots has started."""
        self.zygotes.workers.take_back_all()
        self._ends.flush()

    # --- withdrawing and pausing --------------------------------------------------------------

    def withdraw(self, key: Key) -> None:
        """Give a job back to the supervisor that has not begun."""
        self._take_back_calls()
        job = self._jobs.get(key)
        if job is None or not self._slots.is_waiting(job):
            return  # it is told of its start, or of its end
        del self._jobs[key]
        self._link.answer({"op": "withdrawn", "id": job.id, "attempt": job.attempt})
        for following in self._slots.release(job):
            self._launch(following)

    def pause(self, key: Key) -> None:
        """Stop the processes of a job; its walltime goes on."""
        self._take_back_calls()
        job = self._jobs.get(key)
        if job is not None and job.pid is not None:
            if job.worker is not None:
                job.worker.is_used_up = True  # it may have returned by now: the next call would stand still
            pausing.stop(lambda: self._fresh_processes_of(job))

    def resume(self, key: Key) -> None:
        """Have the processes of a job go on."""
        job = self._jobs.get(key)
        if job is not None and job.pid is not None:
            pausing.go_on(self._fresh_processes_of(job))

    def _fresh_processes_of(self, job: Job) -> list[Process]:
        self.terminator.drop_snapshot()
        return self._processes_of(job)

    # --- terminating --------------------------------------------------------------------------

    def terminate(self, key: Key, cause: str, grace: float) -> None:
        """Terminate a job with all its processes; one that has not begun does not begin."""
        self._take_back_calls()
        job = self._jobs.get(key)
        if job is None:
            return
        if self._slots.is_waiting(job):
            job.cause = cause
            self.job_ended(job, -signal.SIGTERM)
        else:
            self._terminate(job, cause, grace)

    def terminate_all(self, cause: str) -> None:
        """Terminate all jobs."""
        for job in list(self._jobs.values()):
            self.terminate(job.key, cause, job.grace)

    def _warn(self, job: Job) -> None:
        """The walltime of a job is near: it is told, by a signal."""
        if self._jobs.get(job.key) is job and job.cause is None and job.pid is not None:
            job.was_warned = True
            for process in self._fresh_processes_of(job):
                if job.warning_tells_all or process.pid == job.pid:
                    send_signal(process, job.warning_signal)

    def _end_overdue(self, job: Job) -> None:
        self._terminate(job, "walltime", job.grace)

    def _processes_of(self, job: Job) -> list[Process]:
        return self.terminator.processes_of(job.key, job.pid, job.starttime)

    def _end_greedy(self, job: Job, used: int) -> None:
        self.groups.end(job)
        if job.cause is None:
            job.message = f"it used {mib(used)} of memory, and had asked for {mib(job.memory or 0)}"
        self._terminate(job, "memory", 0.0)  # no grace: it would go on to grow

    def _terminate(self, job: Job, cause: str, grace: float) -> None:
        if self._jobs.get(job.key) is not job:
            return  # it has ended
        termination = self.terminator.get(job.key)
        if termination is not None:
            termination.shorten_grace(grace)
            return
        job.cause = job.cause or cause
        if job.pid is None and self.zygotes.workers.withdraw(job):
            self.job_ended(job, -signal.SIGTERM)
            return
        if job.pid is None:
            try:
                holder = claim_for_keeper(job)
            except OSError:
                self._loop.call_later(RETRY, self._terminate, job, cause, grace)
                return
            if holder is None:
                self.job_ended(job, -signal.SIGTERM)
                return
            self.process_started(job, holder, start_time(holder))
        assert job.pid is not None
        self.terminator.begin(Termination(job.key, job.pid, job.starttime, grace))

    # --- ends ---------------------------------------------------------------------------------

    def reap(self) -> None:
        """Reap the children that have ended, and end the jobs that these were."""
        deaths = reap_children()
        zygotes = [(pid, code) for pid, code, _ in deaths if pid in self.zygotes]
        for pid, _ in zygotes:
            self.zygotes.receive_last(pid)
        unknown: dict[int, Death] = {}
        for death in deaths:
            self._take_death(death, unknown)
        for pid, code in zygotes:
            self.zygotes.remove_dead(pid, code, unknown)

    def _take_death(self, death: Death, unknown: dict[int, Death]) -> None:
        pid, code, usage = death
        job = self._by_pid.get(pid)
        if pid in self.zygotes.workers:
            self.zygotes.workers.died(pid, code, usage)
        elif job is None:
            unknown[pid] = death
        else:
            self.job_ended(job, code, usage if job.is_call else self._peak_memory.of_program(usage))

    def process_adopted(self, job: Job, pid: int, unknown: dict[int, Death]) -> None:
        """A child of a dead zygote runs the call, and is ours now; it may be among the deaths."""
        self.process_started(job, pid, start_time(pid))
        if pid in unknown:
            self._take_death(unknown[pid], {})
        elif not job.starttime:
            message = "its end was not seen: its zygote was killed with it"
            self.job_ended(job, -signal.SIGKILL, message=message)

    def process_lost(self, job: Job) -> bool:
        """The process has ended before it began with the call; return whether that is still to run."""
        if job.pid is not None:
            del self._by_pid[job.pid]
            job.pid = None
        self._cancel_walltime(job)
        self._memory.remove(job)
        if job.cause is not None:
            self.job_ended(job, -signal.SIGTERM)
        return job.cause is None

    def call_returned(
        self, job: Job, code: int, report: bytes | None, usage: Usage, following: Job | None
    ) -> None:
        """A call has ended, and its process goes on.

        Args:
            job: which call.
            code: the exit code that a process of its own would have ended with.
            report: what came of it, pickled; None where that is in the spool.
            usage: what it has used.
            following: the call that has the process now, and its slots.
        """
        self.job_ended(job, code, usage, report=report, goes_on=True, following=following)

    def job_ended(
        self,
        job: Job,
        code: int,
        usage: Usage = UNKNOWN,
        message: str = "",
        *,
        report: bytes | None = None,
        goes_on: bool = False,
        following: Job | None = None,
    ) -> None:
        """A job has ended: write it, tell it, terminate what it has left behind, start who waited for it."""
        del self._jobs[job.key]
        self._without_room.discard(job)
        self._memory.remove(job)
        self.groups.end(job)
        if job.was_warned and job.cause is None and code != 0:
            job.cause = "warned"
        if job.peak_memory > (usage["peak_memory"] or 0):
            usage = {**usage, "peak_memory": job.peak_memory}
        if job.zygote is not None:
            job.zygote.remove(job)
            job.zygote = None
        event = job.end_event(code, message, report, usage)
        admitted: list[Job] = []
        if following is None:
            admitted = self._slots.release(job)
        else:
            self._slots.hand_over(job, following)
        self._ends.add(event, others_wait=following is not None or bool(admitted))
        freed = functools.partial(self._freed, job) if job.devices else None
        if job.pid is not None:
            self._by_pid.pop(job.pid, None)
        if job.pid is None or goes_on:
            self.terminator.sweep_soon()
            if freed is not None:
                freed()
        else:
            self.terminator.clean_up_after(job.key, job.pid, job.starttime, job.grace, freed)
        self.groups.release(job)
        self._cancel_walltime(job)
        for each in admitted:
            self._launch(each)

    def _freed(self, job: Job) -> None:
        """Nothing is left of a job that has ended: its GPUs are free."""
        self._ends.freed({"op": "freed", "id": job.id, "attempt": job.attempt})

    def _cancel_walltime(self, job: Job) -> None:
        if job.overdue is not None:
            self._loop.cancel(job.overdue)  # which may be days off, and holds the job
            job.overdue = None
        if job.warning is not None:
            self._loop.cancel(job.warning)
            job.warning = None

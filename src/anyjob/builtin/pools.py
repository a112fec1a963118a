"""The pools: work in the threads, or in child processes, of the program that submits it.

They live and end with that program: for work that must outlive it there are durable backends.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from anyjob.backend import Capabilities
from anyjob.builtin.pool_job import VARIABLES, Endable, Work, open_output, overdue
from anyjob.errors import BackendError
from anyjob.execution import runner, spawning
from anyjob.execution.directory import submit_directory
from anyjob.execution.spool import read_range
from anyjob.orders import Answer, Observation, Options, Order, Ticket
from anyjob.specs import Call, Command, Held, Outcome, Spec
from anyjob.status import JobStatus
from anyjob.taskbackend import HOST, TaskBackend, to_outcome

if TYPE_CHECKING:
    from pathlib import Path

    Logs = dict[str, tuple[Path, int, int | None]]
    """Which part of which file each stream is: from where, and up to where once it has ended."""

Load = Callable[[], tuple[Any, tuple[Any, ...], dict[str, Any]]]
"""Gives what to call, its positional and its keyword arguments."""

QUEUED = Observation(JobStatus.QUEUED)
RUNNING = Observation(JobStatus.RUNNING)


class Pool(TaskBackend):
    """Runs work on threads of this process, up to a number of slots; commands as children of it."""

    accepts = frozenset({"command", "python"})
    capabilities = Capabilities(shared_files=True, logs=True, notifies=True)
    floor = 0

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self._works: dict[str, Work] = {}
        self._logs: dict[str, Logs] = {}
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._directory: Path | None = None
        self._ended = False
        self._owner = os.getpid()
        _every.add(self)

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return 1

    # --- the interface of a task backend ------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Queue the work; slots take it in that order."""
        works = [self._prepare(order) for order in orders]
        with self._lock:
            self._check_open()
            for work in works:
                self._works[work.order.job_id] = work
            # Those that have ended are taken out at once, by `collect`.
            missing = min(self.slots, len(self._works)) - len(self._threads)
            for number in range(max(0, missing)):
                thread = threading.Thread(
                    target=self._slot, name=f"anyjob-{self.name()}-{number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        for work in works:
            yield work.order, work.order.job_id
            self._queue.put(work)

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Look into memory."""
        seen = {}
        for ticket in tickets:
            work = self._works.get(ticket.job_id)
            if work is not None:
                if work.outcome is not None:
                    seen[ticket.job_id] = Observation(work.outcome.status)
                else:
                    seen[ticket.job_id] = RUNNING if work.running else QUEUED
        return seen

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Hand over what came of the work, and keep nothing of it; what has not ended is kept."""
        works = [self._works.get(ticket.job_id) for ticket in tickets]
        found = {work.order.job_id: work.outcome for work in works if work and work.outcome}
        for job_id in found:
            self._works.pop(job_id, None)
        return found

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        """Take work out of the queue, or end the process that it runs in."""
        running = self._cancel([work for t in tickets if (work := self._works.get(t.job_id)) is not None])
        if any(running.values()):
            ending = [work for work, ends in running.items() if ends]
            threading.Thread(target=self._end, args=(ending,), name="anyjob-cancel", daemon=True).start()
        cancelled = {work.order.job_id: work.cancelled for work in running}
        return {ticket.job_id: cancelled.get(ticket.job_id, False) for ticket in tickets}

    def _cancel(self, works: list[Work]) -> dict[Work, bool]:
        """Mark what can be cancelled, settle what has not started; say which have a process to end."""
        running = {}
        for work in works:
            with work.guard:
                if work.outcome is not None:
                    continue
                ends = work.running and (
                    self.capabilities.cancel_running or isinstance(work.order.spec, Command)
                )
                work.cancelled = work.cancelled or ends or not work.running
                running[work] = ends
            if not work.running:
                self._finish(work, Outcome(status=JobStatus.CANCELLED, finished=time.time()))
        return running

    def _end(self, works: list[Work]) -> None:
        """End the processes that these run in."""
        for work in works:
            work.ending.acquire()
        try:
            spawning.end([work.pid for work in works if work.pid is not None])
        finally:
            for work in works:
                work.ending.release()

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read from the files that the work writes to."""
        logs = self._logs.get(ticket.job_id)
        if logs is None or stream not in logs:
            return super().logs(ticket, stream, offset)
        path, start, stop = logs[stream]
        size = 1 << 20 if stop is None else max(0, min(1 << 20, stop - start - offset))
        return read_range(path, start + offset, size)

    def close(self) -> None:
        """Cancel what has not ended, end what runs, and remove what the jobs wrote."""
        if os.getpid() != self._owner:
            return  # a fork of the program: the jobs are its parent's
        with self._lock:
            self._ended = True
            threads, self._threads = self._threads, []
        running = self._cancel(list(self._works.values()))
        self._end([work for work, ends in running.items() if ends])
        for _ in threads:
            self._queue.put(None)
        stuck = any(not ends and work.running for work, ends in running.items())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(0.1 if stuck else None)
        super().close()
        with self._lock:
            directory, self._directory = self._directory, None
        if directory is not None:
            _remove(directory)

    def _check_open(self) -> None:
        if self._ended:
            raise BackendError(f"backend {self.name()!r} was closed")

    # --- slots --------------------------------------------------------------------------------

    def _prepare(self, order: Order) -> Work:
        """Make a job of an order, in the thread that submits: what is wrong with it is raised there."""
        work = Work(order)
        if isinstance(order.spec, Command):  # a call in a thread of this process has this process's own
            work.cwd = submit_directory()
        return work

    def _slot(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                self._do(work)
            except Exception as error:  # of a hook, where plugins are strict: the slot lives on
                threading.excepthook(
                    threading.ExceptHookArgs((type(error), error, error.__traceback__, None))
                )
            del work  # while it waits for the next, it keeps nothing of the last
        self._close_slot()

    def _close_slot(self) -> None:
        """The thread of a slot ends."""

    def _do(self, work: Work) -> None:
        if not self._begins(work):
            return
        try:
            if self.services.watches:
                self.notify([work.order.job_id])
            outcome = self._command(work) if isinstance(work.order.spec, Command) else self._call(work)
        except Exception as error:
            outcome = to_outcome(runner.failure(error))
        except BaseException:  # Ctrl-C in work that runs inline
            self._finish(work, Outcome(status=JobStatus.CANCELLED, finished=time.time(), host=HOST))
            raise
        self._settle(work, outcome)

    def _begins(self, work: Work) -> bool:
        """Have work count as running; False where it is not to run any more."""
        with work.guard:
            if work.outcome is not None or work.cancelled:
                return False
            work.running = True
        return True

    def _settle(self, work: Work, outcome: Outcome) -> None:
        """Take in what came of work that ran: it may have been ended."""
        if work.cancelled:
            outcome = Outcome(
                status=JobStatus.CANCELLED,
                signal=outcome.signal,
                started=outcome.started,
                finished=time.time(),
                peak_memory=outcome.peak_memory,
                host=outcome.host,
            )
        elif work.overdue:
            outcome = overdue(work, outcome)
        self._finish(work, outcome)

    def _finish(self, work: Work, outcome: Outcome) -> None:
        with work.guard:
            if work.outcome is not None:
                return
            work.outcome = outcome
        work.payload = None
        self.notify([work.order.job_id])

    def _call(self, work: Work) -> Outcome:
        """Run a call in the thread of a slot."""
        call = work.order.spec
        assert isinstance(call, Call)
        token = VARIABLES.set(work.order.environment)
        try:
            said = self._perform(lambda: (call.fn, call.args, call.kwargs))
        finally:
            VARIABLES.reset(token)
        if said["status"] == "DONE":
            said["value"] = _copied(said["value"])
        return to_outcome(said)

    def _perform(self, load: Load) -> dict[str, Any]:
        return runner.perform(load)

    def _command(self, work: Work) -> Outcome:
        """Run a program as a child of this process."""
        order = work.order
        spec = order.spec
        assert isinstance(spec, Command)
        assert order.spool is not None
        order.spool.mkdir(mode=0o700, exist_ok=True)
        started = time.time()
        with open_output(order.spool, "stdout") as stdout, open_output(order.spool, "stderr") as stderr:
            try:
                process = spawning.start(spec, order.environment, stdout, stderr, order.spool, work.cwd)
            except OSError as error:
                return spawning.not_started(spec, error)
        try:
            with Endable(work, process.pid, self._end):
                spawning.await_end(process)
        except BaseException:
            spawning.end([process.pid])
            raise
        finally:
            outcome = spawning.reap(process, started)
        return outcome

    def _spool(self, job_id: str, spec: Spec) -> Path | None:
        if not isinstance(spec, Command):
            return None
        return self._home() / job_id

    def _forget(self, job_id: str) -> None:
        directory = self._directory
        if directory is not None and os.getpid() == self._owner:
            _remove(directory / job_id)

    def _home(self) -> Path:
        with self._lock:
            self._check_open()
            if self._directory is None:
                import tempfile
                from pathlib import Path

                self._directory = Path(tempfile.mkdtemp(prefix="anyjob-"))
            return self._directory


def _remove(directory: Path) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)


def _copied(value: Any) -> Any:
    """Pickle a value, so that each ``result()`` is a fresh copy; hold it where it cannot be."""
    try:
        return runner.dumps(value)
    except Exception:
        return Held(value)


class ThreadsOptions(Options, frozen=True):
    """Options of the type ``threads``.

    Args:
        slots: how many jobs run at a time; by default the number of cores and 4, 32 at most.
    """

    slots: Annotated[int, msgspec.Meta(ge=1, description="how many jobs run at a time")] = min(
        32, (os.cpu_count() or 1) + 4
    )


class ThreadsBackend(Pool):
    """Type ``threads``: calls in threads of this process, which share its memory; a running call
    cannot be cancelled, nor ended at its walltime. Commands are children of this process.

    What calls print goes to this process's own stdout.
    """

    Options = ThreadsOptions
    capabilities = Capabilities(
        shared_files=True, logs=True, notifies=True, cancel_running=False, walltime=False
    )

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return int(getattr(self.options, "slots", ThreadsOptions().slots))


_every: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """What these pools run ends with this process, whether or not anybody closed them."""
    for pool in list(_every):
        pool.close()

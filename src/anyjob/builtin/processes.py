"""The type ``processes``: calls in worker processes of the program that submits them."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from socket import SHUT_RDWR, socket, socketpair
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from anyjob.builtin.pool_job import Endable, Work, open_output
from anyjob.builtin.pools import Pool
from anyjob.execution import runner, spawning
from anyjob.execution.directory import submit_directory
from anyjob.jobtypes import dump_call
from anyjob.orders import Options, Order
from anyjob.specs import Call, Outcome
from anyjob.status import JobStatus
from anyjob.taskbackend import HOST, to_outcome

if TYPE_CHECKING:
    from anyjob.builtin.pools import Logs


class ProcessesOptions(Options, frozen=True):
    """Options of the type ``processes``.

    Args:
        slots: how many jobs run at a time; by default the number of cores.
        python: the interpreter that calls run with; by default this one.
    """

    slots: Annotated[int, msgspec.Meta(ge=1, description="how many jobs run at a time")] = len(
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    python: Annotated[str, msgspec.Meta(description="the interpreter that calls run with")] = sys.executable


class ProcessesBackend(Pool):
    """Type ``processes``: calls in worker processes, a worker a slot; commands as children.

    The caller is not forked and needs no ``__main__`` guard. A call that ends its process fails
    alone: its worker is replaced. What calls write goes to their logs.
    """

    Options = ProcessesOptions

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or ProcessesOptions())
        self._worker = threading.local()
        self._number = 0

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return int(self.options.slots)

    def _prepare(self, order: Order) -> Work:
        work = super()._prepare(order)
        if isinstance(order.spec, Call):
            work.payload = (dump_call(order.spec), order.environment, submit_directory())
        return work

    def _call(self, work: Work) -> Outcome:
        worker: Worker | None = getattr(self._worker, "value", None)
        if worker is not None and not worker.alive():
            self._discard(worker)  # somebody ended it while it had nothing to do
            worker = None
        if worker is None:
            worker = self._worker.value = self._start()
        self._logs[work.order.job_id] = worker.logs()
        started = time.time()
        with Endable(work, worker.pid, self._end):
            worker.tell(pickle.dumps(work.payload, 5))
            said = worker.hear()
        outcome = self._said(work, worker, said, started)
        self._keep_logs(work.order.job_id, worker.ended())
        return outcome

    def _start(self) -> Worker:
        with self._lock:
            self._number += 1
            number = self._number
        return Worker(self.options.python, self._home(), number)

    def _said(self, work: Work, worker: Worker, said: dict[str, Any] | None, started: float) -> Outcome:
        """Return what came of a call, by what its worker has said; one that was ended over it is let go."""
        if said is not None and not work.cancelled and not work.overdue:
            return to_outcome(said)
        code = self._discard(worker)
        outcome = spawning.ended(code, started=started, host=HOST)
        if outcome.status is JobStatus.DONE:
            outcome.status, outcome.reason = JobStatus.ERROR, "exit-code"
        outcome.message = (
            f"the call ended its process ({outcome.message or 'exit code 0'}) and left no result"
        )
        return outcome

    def _keep_logs(self, job_id: str, logs: Logs) -> None:
        if logs:
            self._logs[job_id] = logs
            self._tracker.when_forgotten(job_id, functools.partial(self._logs.pop, job_id, None))
        else:
            del self._logs[job_id]

    def _discard(self, worker: Worker) -> int:
        self._worker.value = None
        return worker.close()

    def _close_slot(self) -> None:
        worker: Worker | None = getattr(self._worker, "value", None)
        if worker is not None:
            worker.close()


class Worker:
    """A process that runs one call after the other, for the one thread that owns it."""

    def __init__(self, python: str, directory: Path, number: int) -> None:
        ours, theirs = socketpair()
        self._socket: socket = ours
        self._files = {stream: directory / f"worker-{number}.{stream}" for stream in ("stdout", "stderr")}
        try:
            self._process = self._start(python, theirs)
        except BaseException:
            ours.close()
            raise
        self.pid = self._process.pid
        self._stream = open(ours.fileno(), "rb", closefd=False)  # noqa: SIM115 - close() closes it
        self._start_sizes = self._sizes = [0, 0]
        # A child of the call may hold our end of the socket open, so that it is the end of the
        # worker's process, and not of the stream, that tells of its death.
        self._reaper = threading.Thread(target=self._await_end, name=f"anyjob-reap-{self.pid}", daemon=True)
        self._reaper.start()

    def _start(self, python: str, theirs: socket) -> subprocess.Popen[bytes]:
        out, err = self._files["stdout"], self._files["stderr"]
        with theirs, open_output(out.parent, out.name) as stdout, open_output(err.parent, err.name) as stderr:
            return subprocess.Popen(
                [python, "-u", "-P", runner.__file__, "--serve", str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Whether its process has not ended."""
        return self._reaper.is_alive()

    def _await_end(self) -> None:
        try:
            spawning.await_end(self._process)  # it is reaped by close(): until then the pid is its own
        except ChildProcessError:
            pass
        try:
            self._socket.shutdown(SHUT_RDWR)
        except OSError:
            pass

    def fileno(self) -> int:
        """The descriptor that its answers come by, for those who wait for many."""
        return self._socket.fileno()

    def tell(self, request: bytes) -> None:
        """Have a call run. Of one that has died, it is heard."""
        with suppress(OSError):
            runner.write_frame(self._socket.fileno(), request)

    def has_answered(self) -> bool:
        """Whether the answer is here as a whole, or none will come; asked once there is something to read."""
        head = self._stream.peek(8)
        return len(head) < 8 or len(head) - 8 >= int.from_bytes(head[:8], "little")

    def hear(self) -> dict[str, Any] | None:
        """Wait for what came of the call; None where the worker has died over it."""
        try:
            answer: dict[str, Any]
            answer, self._start_sizes, self._sizes = pickle.loads(runner.read_frame(self._stream))
        except (OSError, EOFError):
            self._start_sizes = self._sizes
            self._sizes = [path.stat().st_size for path in self._files.values()]
            return None
        return answer

    def logs(self) -> Logs:
        """Where what the next call writes will be."""
        return {
            s: (path, size, None) for (s, path), size in zip(self._files.items(), self._sizes, strict=True)
        }

    def ended(self) -> Logs:
        """Where what the last call wrote is; without the streams that it wrote nothing to."""
        logs = zip(self._files.items(), self._start_sizes, self._sizes, strict=True)
        return {stream: (path, start, stop) for (stream, path), start, stop in logs if stop > start}

    def close(self) -> int:
        """End the worker and what it has started; return the code that it ended with."""
        try:
            self._socket.shutdown(SHUT_RDWR)
        except OSError:
            pass
        try:
            self._process.wait(2)  # an idle worker leaves when its socket closes
        except subprocess.TimeoutExpired:
            spawning.end([self.pid], grace=0.5)
            self._process.wait()
        self._reaper.join()
        try:
            os.killpg(self.pid, 9)
        except OSError:
            pass  # the usual case: nobody is left
        self._stream.close()
        self._socket.close()
        return int(self._process.returncode)

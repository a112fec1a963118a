"""The process of a job with several tasks: it starts them, and sees to it that they end together.

Started as ``python -I -S -c SOURCE COUNT GRACE KIND PROGRAM ARGUMENT…``, with `pmi_server` in SOURCE, as the
leader of a process group, with the job's directory in ``ANYJOB_SPOOL``. Each task is the program, with its
rank in its environment. The first that fails ends the others: TERM, after GRACE seconds KILL. Then its
outcome is that of the job, and the report (`anyjob.spool.reports`) that is left there names it.

KIND is ``command``, or ``call``: then the tasks are `anyjob.standalone.task_call`, and leave reports of their
own; where all have succeeded, the job's report has the list of their values.

Once they are told to end, or by SIGUSR1 that the walltime is near, none ends the others any more. Where each
call has left what goes on of it (`anyjob.standalone.runner.leave_checkpoint`), or its value, all of that is
left together, for the next attempt.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import socket
import sys
import time

from anyjob.standalone.pmi_server import PmiServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD)
CHECKPOINT = "checkpoint.pkl"
PREEMPTED = "anyjob.errors.Preempted"
NOT_FOUND, NOT_EXECUTABLE = 127, 126


class TaskGroup:
    """The tasks of one job.

    Args:
        argv: the program that each of them is, and its arguments.
        count: how many.
        grace: seconds between TERM and KILL for those that are left when one has failed.
        is_call: whether each leaves a report of its own.
        spool: the job's directory.
    """

    def __init__(self, argv: list[bytes], count: int, grace: float, is_call: bool, spool: str) -> None:
        self._argv = argv
        self._count = count
        self._grace = grace
        self._is_call = is_call
        self._spool = spool
        self._ranks: dict[int, int] = {}
        self._failure: tuple[int, int, str] | None = None  # rank, exit code or -signal, why
        self._aborted: tuple[int, int] | None = None  # by MPI_Abort: rank, exit code
        self._told = False  # to end, or that the walltime is near
        self._codes: dict[int, int] = {}
        self._deadline: float | None = None

    def run(self) -> int:
        """Run the tasks to their end, and return the exit code of the job, or -signal."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for rank in range(self._count):
            self._forget_report(rank)
        self._start()
        while self._ranks:
            self._wait()
            if self._aborted is not None and self._failure is None and not self._told:
                self._fail(*self._aborted, f"MPI_Abort with exit code {self._aborted[1]}")
            self._reap()
        if self._told and any(self._codes.values()):
            return self._end_told()
        if self._failure is None:
            if self._is_call:
                self._leave(self._collected())
            return 0
        self._leave(self._failed(*self._failure))
        code = self._failure[1]
        return code if code < 0 or not self._is_call else max(code, 1)

    # --- starting and ending ------------------------------------------------------------------

    def _start(self) -> None:
        variables = own_environment()
        variables.setdefault(b"MASTER_ADDR", b"127.0.0.1")
        variables.setdefault(b"MASTER_PORT", b"%d" % free_port())
        pmi = PmiServer(self._count, self._abort)
        for rank in range(self._count):
            try:
                known = {**rank_variables(rank, self._count), **pmi.variables(rank)}
                pid = self._spawn({**variables, **known}, pmi.end_of(rank))
            except OSError as error:
                code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
                shown = os.fsdecode(self._argv[0])
                self._fail(rank, code, f"cannot start: {shown!r}: {error.strerror}")
                break
            self._ranks[pid] = rank
        pmi.start()

    def _spawn(self, variables: dict[bytes, bytes], inherited: socket.socket) -> int:
        # Each reads stdin from its beginning, as those that srun starts do.
        stdin = os.open("/proc/self/fd/0", os.O_RDONLY)
        inherited.set_inheritable(True)
        try:
            actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
            masked = (signal.SIGUSR1,) if self._is_call else ()  # until it can take it
            return os.posix_spawnp(
                self._argv[0], self._argv, variables, file_actions=actions, setsigmask=masked
            )
        finally:
            inherited.set_inheritable(False)
            os.close(stdin)

    def _fail(self, rank: int, code: int, why: str) -> None:
        self._failure = rank, code, why
        self._deadline = time.monotonic() + self._grace
        os.killpg(0, signal.SIGTERM)  # us, too: see _wait

    def _abort(self, rank: int, code: int) -> None:
        """A rank asks for the end of all; called on the thread of the server."""
        self._aborted = rank, code or 1
        os.kill(os.getpid(), signal.SIGTERM)  # _wait sees to it

    def _wait(self) -> None:
        """Wait for something to happen."""
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        came = signal.sigwaitinfo(SIGNALS) if left is None else signal.sigtimedwait(SIGNALS, left)
        if came is None:
            self._deadline = None
            self._signal_all(signal.SIGKILL)
        elif came.si_signo == signal.SIGUSR1:
            self._told = True
            if self._is_call:  # of a command, all processes have been told
                self._signal_all(signal.SIGUSR1)
        elif came.si_signo == signal.SIGTERM and came.si_pid != os.getpid():
            self._told = True
            if came.si_pid != os.getppid():  # that one signals all of the group
                self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: int) -> None:
        for pid in self._ranks:
            os.kill(pid, number)

    def _reap(self) -> None:
        while self._ranks:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            rank, code = self._ranks.pop(pid), os.waitstatus_to_exitcode(status)
            self._codes[rank] = code
            if code != 0 and self._failure is None and not self._told:
                self._fail(rank, code, in_words(code))

    # --- what came of them --------------------------------------------------------------------

    def _end_told(self) -> int:
        """Leave what goes on, or what kept a call from leaving that; return how the job has ended."""
        calls = []
        for rank in range(self._count if self._is_call else 0):
            report = self._report_of(rank)
            if report is not None and report["status"] == "DONE":
                calls.append(pickle.dumps((pickle.loads, (report["value"],), {}), 5))
            elif report is not None and PREEMPTED not in report["exception_types"]:
                code = max(self._codes[rank], 1)
                self._leave(self._failed(rank, code, in_words(code)))
                return code
            else:
                calls += self._left(rank, CHECKPOINT)
        if calls and len(calls) == self._count:
            self._write(CHECKPOINT, pickle.dumps(calls, 5))
        return -signal.SIGTERM

    def _left(self, rank: int, name: str) -> list[bytes]:
        try:
            with open(f"{self._spool}/task.{rank}/{name}", "rb") as stream:
                return [stream.read()]
        except OSError:
            return []

    def _report_of(self, rank: int) -> dict[str, Any] | None:
        for left in self._left(rank, "outcome.pkl"):
            report: dict[str, Any] = pickle.loads(left)
            return report
        return None

    def _forget_report(self, rank: int) -> None:
        """One of an earlier attempt is not taken for that of this one."""
        for name in ("outcome.pkl", CHECKPOINT):
            try:
                os.unlink(f"{self._spool}/task.{rank}/{name}")
            except FileNotFoundError:
                pass

    def _failed(self, rank: int, code: int, why: str) -> dict[str, Any]:
        """Return the report of the job where one of its tasks has failed."""
        report: dict[str, Any] = {"status": "ERROR", "message": why}
        if code < 0:
            report |= {"reason": "signal", "signal": -code}
        else:
            report |= {"reason": "exit-code", "exit_code": code}
        if self._is_call:
            left = self._report_of(rank)
            if left is not None and left["status"] != "DONE":
                report = left
            else:
                report["message"] = f"the call ended its process ({why}) and left no result"
        report["message"] = f"of {self._count} tasks, that of rank {rank} failed: {report['message']}"
        return report

    def _collected(self) -> dict[str, Any]:
        """Return the report of the job where all of its tasks have succeeded."""
        values = []
        for rank in range(self._count):
            report = self._report_of(rank)
            if report is None or report["status"] != "DONE":
                return self._failed(rank, 0, "exit code 0")
            values.append(Pickled(report["value"]))
        return {"status": "DONE", "value": pickle.dumps(values, 5)}

    def _leave(self, report: dict[str, Any]) -> None:
        """Leave the report, at once or not at all."""
        report["host"] = os.uname().nodename
        self._write("outcome.pkl", pickle.dumps(report, 5))

    def _write(self, name: str, data: bytes) -> None:
        part = f"{self._spool}/{name}.part"
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(fd)
        os.rename(part, f"{self._spool}/{name}")


class Pickled:
    """A value that is pickled already, and within another pickle becomes itself: here it means nothing."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled

    def __reduce__(self) -> Any:
        return pickle.loads, (self._pickled,)


def own_environment() -> dict[bytes, bytes]:
    """Return the environment as it was given to us, byte for byte: Python may have changed its own."""
    with open("/proc/self/environ", "rb") as stream:
        entries = stream.read().split(b"\0")
    return {name: value for name, equals, value in (entry.partition(b"=") for entry in entries) if equals}


def rank_variables(rank: int, count: int) -> dict[bytes, bytes]:
    """Return by what a task knows which it is; the latter are those of ``torch.distributed``."""
    return {
        b"ANYJOB_RANK": b"%d" % rank,
        b"ANYJOB_TASKS": b"%d" % count,
        b"RANK": b"%d" % rank,
        b"WORLD_SIZE": b"%d" % count,
        b"LOCAL_RANK": b"%d" % rank,
        b"LOCAL_WORLD_SIZE": b"%d" % count,
    }


def free_port() -> int:
    """Return a port at which nobody listens now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def in_words(code: int) -> str:
    """Return how a process has ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def end_as(code: int) -> NoReturn:
    """End this process by an exit code, or by -signal."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the task that it was has left one, if any
        # The TERM that was for all may have come only now: we are to end by that of the task.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def main() -> None:
    """Run the tasks that the arguments tell of."""
    count, grace, kind = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    argv = [os.fsencode(word) for word in sys.argv[4:]]
    group = TaskGroup(argv, count, grace, kind == "call", os.environ["ANYJOB_SPOOL"])
    end_as(group.run())


if __name__ == "__main__":
    main()

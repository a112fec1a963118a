"""A program as a child of this process: started, waited for, reaped; and what its exit code means."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anyjob.outcome import Outcome
from anyjob.status import JobStatus

if TYPE_CHECKING:
    import subprocess


class Program:
    """A program that was started as a child of this process.

    Args:
        argv: the program and its arguments.
        popen: further arguments of `subprocess.Popen`.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, argv: list[str], **popen: Any) -> None:
        import subprocess  # of no use to who only waits for a program

        self.process = subprocess.Popen(argv, **popen)
        self.pid = self.process.pid

    def wait(self) -> None:
        """Wait for it to end, and leave it to be reaped."""
        with suppress(ChildProcessError):
            wait_for_exit(self.process)

    def reap(self, started: float) -> Outcome:
        """Reap it once it has ended, and return what came of it."""
        io = process_io(self.pid)
        try:
            _, status, usage = os.wait4(self.pid, 0)
        except ChildProcessError:
            self.process.returncode = 0
            return Outcome(
                status=JobStatus.ERROR,
                reason="lost",
                message="how it ended is not known: something else in this process (a handler of SIGCHLD, or "
                "os.wait) waits for all children, and was told",
                started=started,
                finished=time.time(),
                host=os.uname().nodename,
            )
        self.process.returncode = code = os.waitstatus_to_exitcode(status)
        return exit_outcome(
            code,
            started=started,
            peak_memory=usage.ru_maxrss * 1024,
            cpu_time=usage.ru_utime + usage.ru_stime,
            **io,
        )


class ReportedProgram(Program):
    """A program that is the child of one of ours, which says how it has ended: see `exit_reporter`."""

    def __init__(self, argv: list[str], **popen: Any) -> None:
        from pkgutil import get_data

        from anyjob.execution import interpreter

        source = (get_data("anyjob.standalone", "exit_reporter.py") or b"").decode()  # in an archive, too
        reader, writer = os.pipe()
        self._report = open(reader, "rb")  # noqa: SIM115 - reap() closes it
        try:
            self.process = interpreter.spawn_interpreter(
                ["-I", "-S", "-c", source, str(writer), *argv], pass_fds=[writer], **popen
            )
        except BaseException:
            self._report.close()
            raise
        finally:
            os.close(writer)
        self.pid = self.process.pid
        error = int(self._report.readline() or b"0")
        if error:
            self._end()
            raise OSError(error, os.strerror(error))

    def wait(self) -> None:
        """Wait for it to end."""
        self._report.peek(1)

    def reap(self, started: float) -> Outcome:
        """Return what came of it, once it has ended."""
        status, memory, *told = map(int, self._report.readline().split() or (signal.SIGKILL, 0))
        self._end()
        used: dict[str, Any] = {"cpu_time": told[0] / 1e6} if told else {}
        if len(told) > 2:
            used.update(read_bytes=told[1], written_bytes=told[2])
        code = os.waitstatus_to_exitcode(status)
        return exit_outcome(code, started=started, peak_memory=memory * 1024 or None, **used)

    def _end(self) -> None:
        self._report.close()
        self.process.wait()


def wait_for_exit(process: subprocess.Popen[bytes]) -> None:
    """Wait for a program to end, and leave it to be reaped: until then its pid is nobody else's."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def process_io(pid: int) -> dict[str, int]:
    """Return what a process that is not reaped yet has read and written, as the fields of an outcome."""
    try:
        with open(f"/proc/{pid}/io", "rb", buffering=0) as stream:
            said = stream.read(512).split()
        return {"read_bytes": int(said[1]), "written_bytes": int(said[3])}
    except (OSError, ValueError, IndexError):  # not every system tells
        return {}


def exit_outcome(code: int, **known: Any) -> Outcome:
    """Return the outcome of a process by the code that it ended with (negative: by a signal)."""
    known.setdefault("finished", time.time())
    if "host" not in known:
        known["host"] = os.uname().nodename
    if code == 0:
        return Outcome(status=JobStatus.DONE, exit_code=0, **known)
    if code > 0:
        return Outcome(
            status=JobStatus.ERROR, reason="exit-code", message=f"exit code {code}", exit_code=code, **known
        )
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return Outcome(status=JobStatus.ERROR, reason="signal", message=f"ended by {name}", signal=-code, **known)

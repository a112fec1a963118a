"""How the keeper starts a program: with all of its environment, in a session of its own, by posix_spawn."""

from __future__ import annotations

import errno
import fcntl
import os
import signal

from anyjob.builtin.local import process_attributes
from anyjob.builtin.local.keeper.launch.errors import NOT_EXECUTABLE, NOT_FOUND, StartFailed
from anyjob.builtin.local.keeper.launch.job_directory import change_directory, close_all, open_streams
from anyjob.builtin.local.machine.cgroups import PROCESSES, write
from anyjob.builtin.local.process_table import start_time, ticks_since_boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.keeper.launch.environments import Environment

TOO_LONG = "its arguments and variables are too long together: put what is long into a file, or on stdin"


class Spawner:
    """Starts programs; made once the keeper has said which signals it ignores, for they should not."""

    def __init__(self) -> None:
        self._attributes = process_attributes.current()
        self._own = _but_umask(self._attributes)
        self.null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._ignored = [
            number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN
        ]

    def spawn(
        self,
        argv: list[bytes],
        variables: Mapping[bytes, bytes],
        streams: tuple[int, ...],
        attributes: dict[str, Any] | None = None,
        group: str = "",
    ) -> int:
        """Start a program in a session of its own, and return its pid.

        Args:
            argv: the program and its arguments.
            variables: all of its environment.
            streams: the descriptors that become its 0, 1, 2 and so on; it gets no other.
            attributes: what it is to have as `process_attributes`; by default what the keeper has.
            group: the directory of the cgroup that it is to be in; empty for the keeper's.

        Raises:
            StartFailed: it cannot be started.
        """
        if not argv:
            raise StartFailed(NOT_FOUND, "cannot start: there is no program to start")
        path = find_program(argv[0], variables)
        try:
            if group:
                return self._fork(path, argv, variables, streams, attributes or self._attributes, group)
            if attributes is None:
                return self._spawn(path, argv, variables, streams)
            if _but_umask(attributes) != self._own:
                return self._fork(path, argv, variables, streams, attributes)
            before = os.umask(attributes["umask"])
            try:
                return self._spawn(path, argv, variables, streams)
            finally:
                os.umask(before)
        except ValueError as error:  # a NUL byte
            raise StartFailed(NOT_EXECUTABLE, f"cannot start: {error}") from None
        except OSError as error:
            shown = os.fsdecode(argv[0])
            if error.errno == errno.ENOENT:
                raise StartFailed(NOT_FOUND, f"cannot start: {shown!r} is not there") from None
            way_out = f": {TOO_LONG}" if error.errno == errno.E2BIG else ""
            raise StartFailed(NOT_EXECUTABLE, f"cannot start: {shown!r}: {error.strerror}{way_out}") from None

    def _spawn(
        self, path: bytes, argv: list[bytes], variables: Mapping[bytes, bytes], streams: tuple[int, ...]
    ) -> int:
        return os.posix_spawn(
            path,
            argv,
            variables,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)],
            setsid=True,
            setsigmask=(),
            setsigdef=self._ignored,
        )

    def _fork(
        self,
        path: bytes,
        argv: list[bytes],
        variables: Mapping[bytes, bytes],
        streams: tuple[int, ...],
        attributes: dict[str, Any],
        group: str = "",
    ) -> int:
        """Start a program with what posix_spawn cannot give it; slower."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                writer = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, len(streams) + 3)
                os.setsid()
                for number, fd in enumerate(streams):
                    os.dup2(fd, number)
                    os.set_inheritable(number, True)
                for ignored in self._ignored:
                    signal.signal(ignored, signal.SIG_DFL)
                if group:
                    join(group)  # before it may have few descriptors at most
                process_attributes.apply(attributes)
                if os.getppid() != keeper:
                    # It was killed: whoever looks for what it has left cannot know this process by its mark
                    # yet, and may have the job started by another keeper.
                    os._exit(127)
                os.execve(path, argv, variables)
            except BaseException as error:  # in the child, where nothing may go on but the program
                os.write(writer, b"%d" % (getattr(error, "errno", None) or errno.EINVAL))
            finally:
                os._exit(127)
        os.close(writer)
        with open(reader, "rb") as stream:  # it ends when the program begins
            failed = stream.read()
        if failed:
            os.waitpid(pid, 0)
            raise OSError(int(failed), os.strerror(int(failed)))
        return pid

    def start_command(self, job: Job, environment: Environment) -> tuple[int, int]:
        """Start the program of a job whose directory is there, and return its pid and its start time.

        Args:
            job: which job.
            environment: what it gets of the process that submitted it.

        Raises:
            StartFailed: it cannot be started.
        """
        outputs = job.work.get("outputs") or (None, None)
        umask = (environment.attributes or self._attributes)["umask"]
        streams = open_streams(
            job.spool, job.work.get("stdin"), self.null, outputs, umask=umask, again=job.attempt > 1
        )
        try:
            change_directory(job.cwd)
            variables = {**environment.variables, **job.extra, **job.marks}
            before = ticks_since_boot()
            pid = self.spawn(job.work["argv"], variables, streams, environment.attributes, job.group)
        finally:
            os.chdir("/")
            close_all([fd for fd in streams if fd != self.null])
        # To ask /proc would wait for the new process's exec; mostly there is but one tick it can be.
        return pid, before if before == ticks_since_boot() else start_time(pid)


def join(group: str) -> None:
    """Go into a cgroup; where that cannot be, what is watched is enough."""
    try:
        write(f"{group}/{PROCESSES}", "0")
    except OSError:
        return


def _but_umask(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes without the umask, which may be set for a moment."""
    return {name: value for name, value in attributes.items() if name != "umask"}


def find_program(name: bytes, variables: Mapping[bytes, bytes]) -> bytes:
    """Return the path of a program, sought on the PATH of the job.

    Raises:
        StartFailed: there is none of that name, or none that may be executed.
    """
    if b"/" in name:
        return name
    search = variables.get(b"PATH", os.fsencode(os.defpath))
    seen = False
    for directory in search.split(b":") if name else ():
        path = (directory or b".") + b"/" + name
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        seen = seen or os.path.isfile(path)
    shown = os.fsdecode(name)
    if seen:
        raise StartFailed(NOT_EXECUTABLE, f"cannot start: {shown!r} on PATH may not be executed")
    raise StartFailed(NOT_FOUND, f"cannot start: {shown!r} is not there, nor anywhere on PATH")

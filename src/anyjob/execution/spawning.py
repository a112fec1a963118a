"""Runs programs: with output to files, and ended with their whole process tree."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, BinaryIO

from anyjob import _typing as t
from anyjob.errors import CommandFailedError, JobFailedError
from anyjob.execution.child_program import Program, ReportedProgram
from anyjob.outcome import Outcome
from anyjob.specs import Command, File, check_left, outputs_in
from anyjob.spool.job_spool import held_input
from anyjob.spool.private_files import append_private, copy_whole, make_private, write_private
from anyjob.status import JobStatus
from anyjob.text.full_disk import is_full

GRACE = 5.0
"""Seconds between TERM and KILL."""
RETURNED = 16 * 1024 * 1024
"""Bytes of each stream that come back where no files are shared: the end of it."""


def run_program(
    spec: Command,
    environment: Mapping[str, str],
    directory: t.Path,
    *,
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
    cwd: str | None = None,
    grace: float | None = None,
    while_running: Callable[[int], AbstractContextManager[object]] = nullcontext,
) -> Outcome:
    """Run a program to its end, as a child of this process, and return what came of it.

    It leads a session of its own. What interrupts the wait for it (`KeyboardInterrupt`, or what a signal
    handler raises) ends it with all that it has started, and passes through.

    Args:
        spec: what to run. Its files are laid into ``files`` below the directory.
        environment: variables beside those of this process; those of the spec go before them.
        directory: the job's own, made if it is not there; the program has it as ``ANYJOB_SPOOL``.
        stdout: where its output goes, if the spec does not say; by default the file ``stdout`` there.
        stderr: where its errors go, if the spec does not say; by default the file ``stderr`` there.
        cwd: where to run it if the spec does not say; by default where this process is.
        grace: seconds between TERM and KILL, where it is ended; by default 5.
        while_running: called with its pid, gives a context manager that is entered until it has ended, and
            left before it is reaped: for who is to end it, such as `JobRun.process`.

    Returns:
        the outcome: DONE for exit code 0, else ERROR with a reason, ``exit-code`` or ``signal``. One that
        cannot be started has the codes that a shell gives, 126 or 127.

    Raises:
        OSError: the directory, or a file in it, cannot be written.
    """
    make_private(directory)
    started = time.time()
    with ExitStack() as stack:
        try:
            where = os.path.join(cwd or "", spec.cwd or "")
            out = _own_output(spec.stdout, where, stack) or stdout
            out = out or stack.enter_context(append_private(directory / "stdout"))
            err = out if spec.stderr and spec.stderr == spec.stdout else None
            err = err or _own_output(spec.stderr, where, stack) or stderr
            err = err or stack.enter_context(append_private(directory / "stderr"))
            process = start(spec, environment, out, err, directory, cwd)
        except OSError as error:
            return start_failure(spec, error)
    try:
        with while_running(process.pid):
            process.wait()
    except BaseException:
        terminate([process.pid], grace)
        raise
    finally:
        outcome = process.reap(started)
    return outcome


def start(
    spec: Command,
    environment: Mapping[str, str],
    stdout: BinaryIO,
    stderr: BinaryIO,
    files: t.Path | None,
    cwd: str | None = None,
) -> Program:
    """Start a program in a session of its own, so that all that it starts can be ended with it.

    Args:
        spec: what to run.
        environment: variables beside those of this process and of the spec.
        stdout: where its output goes.
        stderr: where its errors go.
        files: the job's directory, where its files are laid.
        cwd: where to run it if the spec does not say.

    Raises:
        OSError: it cannot be started.
    """
    variables = {**os.environ, **environment, **spec.env}
    if files is not None:
        variables["ANYJOB_SPOOL"] = str(files)
        write_files(spec, files)
    ignored = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    kind = ReportedProgram if ignored else Program
    with _stdin(spec) as stdin:
        return kind(
            spec.argv,
            cwd=cwd if spec.cwd is None else spec.cwd,
            env=variables,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


class NoRoomForFilesError(OSError):
    """There is no room on the disk for the large files of a job, though there may be for others."""


def write_files(spec: Command, directory: t.Path) -> None:
    """Write the files of a spec into the ``files`` below a job's directory, private to the user.

    Raises:
        NoRoomForFilesError: the large ones do not fit; nothing of them is left.
        OSError: one cannot be written.
        DependencyFailedError: another job was to leave a file, and has not.
    """
    for path in outputs_in(spec):
        check_left(path)
    large = find_room(spec, directory)
    try:
        for name, file in spec.files.items():
            lay_file(file, directory, name)
    except OSError as error:
        if not large or not is_full(error):
            raise
        for copy in large:
            copy.unlink(missing_ok=True)
        raise NoRoomForFilesError(error.errno, error.strerror, str(directory)) from error


def find_room(spec: Command, directory: t.Path) -> list[t.Path]:
    """See that the large files of a spec fit, lest their copies fill the disk up to where they do not.

    Returns:
        where these copies go. None is there: those of an earlier attempt are removed.

    Raises:
        NoRoomForFilesError: they do not.
    """
    large = {directory / "files" / name: file.sha256 for name, file in spec.files.items() if file.sha256}
    if large:
        for copy in large:
            copy.unlink(missing_ok=True)
        found = os.statvfs(directory)
        size = sum(held_input(directory, sha256).stat().st_size for sha256 in large.values())
        if size > found.f_bavail * found.f_frsize:
            raise NoRoomForFilesError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))
    return [*large]


def lay_file(file: File, directory: t.Path, name: str) -> None:
    """Write a file that goes with a program; of one that another job has left, a link to that."""
    path = directory / "files" / name
    if file.sha256:  # a copy, since the program may write to it
        make_private(path.parent)
        path.unlink(missing_ok=True)
        copy_whole(held_input(directory, file.sha256), path)
        return
    if file.left_by is None:
        write_private(path, file.taken().content or b"")
        return
    make_private(path.parent)
    path.unlink(missing_ok=True)
    path.symlink_to(file.left_by)


def _own_output(path: str | None, where: str, stack: ExitStack) -> BinaryIO | None:
    """Open the file that a program was told to write, if it was."""
    if path is None:
        return None
    try:
        return stack.enter_context(open(os.path.join(where, path), "wb"))
    except OSError as error:
        raise _OutputError(error.errno, error.strerror, path) from error


class _OutputError(OSError):
    """A file that a program was told to write cannot be opened."""


def _stdin(spec: Command) -> BinaryIO:
    if spec.stdin is None:
        return open(os.devnull, "rb")
    if spec.stdin.left_by is not None:
        return open(spec.stdin.left_by, "rb")
    import tempfile

    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    stream.write(spec.stdin.taken().content or b"")
    stream.seek(0)
    return stream


def start_failure(spec: Command, error: OSError) -> Outcome:
    """Return the outcome of a program that could not be started; codes as a shell gives them."""
    program = spec.argv[0]
    if isinstance(error, _OutputError):
        code, why = 126, f"its output {error.filename!r} cannot be written: {error.strerror}"
    elif spec.cwd is not None and not os.path.isdir(spec.cwd):
        code, why = 126, f"its directory {spec.cwd!r} is not there"
    elif isinstance(error, FileNotFoundError) and os.sep in program and os.path.exists(program):
        code, why = 127, f"the interpreter that the first line of {program!r} names is not there"
    elif isinstance(error, FileNotFoundError):
        code, why = 127, f"{program!r} is not there" + ("" if os.sep in program else ", nor anywhere on PATH")
    else:
        code, why = 126, f"{program!r}: {error.strerror or error}"
    return Outcome(
        status=JobStatus.ERROR,
        reason="exit-code",
        exit_code=code,
        message=f"cannot start: {why}",
        finished=time.time(),
        host=os.uname().nodename,
    )


def terminate(pids: Iterable[int], grace: float | None = None) -> None:
    """End processes and all that they have started: TERM, grace (`GRACE` seconds by default), KILL.

    Each leads a session. What has left its session is found as long as it descends from it. The
    caller reaps them, and not before this returns.
    """
    pids = list(pids)
    if not pids:
        return
    import psutil

    tree: list[Any] = []
    for pid in pids:
        try:
            leader = psutil.Process(pid)
            tree += [leader, *leader.children(recursive=True)]
        except psutil.Error:
            continue
    _signal(pids, tree, signal.SIGTERM)
    deadline = time.monotonic() + (GRACE if grace is None else grace)
    while time.monotonic() < deadline and any(map(_alive, tree)):
        time.sleep(0.01)
    _signal(pids, tree, signal.SIGKILL)


def _signal(pids: list[int], tree: list[Any], number: int) -> None:
    """Signal the process groups, and those of the tree that have left them."""
    import psutil

    for pid in pids:
        try:
            os.killpg(pid, number)
        except OSError:
            continue
    for process in tree:
        try:
            if os.getpgid(process.pid) not in pids:
                process.send_signal(number)  # psutil checks that the pid was not reused
        except (OSError, psutil.Error):
            continue


def _alive(process: Any) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


# --- a command as a call ----------------------------------------------------------------------


def run_command(spec: Command) -> tuple[bytes, bytes]:
    """Run a program as part of a call, and return the end of what it wrote to stdout and stderr.

    Raises:
        CommandFailedError: it ended with a non-zero exit code.
        JobFailedError: it was ended by a signal.
    """
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="anyjob-") as directory:
        outcome = run_program(spec, {}, Path(directory))
        written = _tail(Path(directory, "stdout")), _tail(Path(directory, "stderr"))
    if outcome.status is JobStatus.DONE:
        return written
    if outcome.exit_code is not None:
        text = written[1].decode("utf-8", "replace")[-4000:]
        message = outcome.message + (f"\nthe end of its stderr:\n{text}" if text else "")
        raise CommandFailedError(message, exit_code=outcome.exit_code, stderr=text)
    raise JobFailedError(outcome.message, reason="signal")


def _tail(path: t.Path) -> bytes:
    if not path.exists():  # it went to a file of the user's own
        return b""
    with open(path, "rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - RETURNED))
        return stream.read()

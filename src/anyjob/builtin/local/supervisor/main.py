"""Starts the supervisor, one a user, host and state directory: it is there when this returns."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

from anyjob.builtin.local import process_attributes
from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.ipc.protocol import READY
from anyjob.builtin.local.ipc.sockets import listen
from anyjob.builtin.local.locks import UNSEEN, lock_holder, take_lock
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.service import WAKE, Supervisor
from anyjob.errors import AnyjobError
from anyjob.execution.interpreter import unmark_interpreter


def main(arguments: list[str] | None = None) -> int:
    """Start a supervisor, and return 0 when it listens, or when another one does."""
    unmark_interpreter()
    process_attributes.reset()
    parser = argparse.ArgumentParser(prog="anyjob-supervisor", description=__doc__)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--runtime", help="where the sockets were; what is recorded counts")
    parser.add_argument("--host", default="")
    given = parser.parse_args(arguments)
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with open(reader, "rb") as stream:
            answer = stream.read().decode("utf-8", "replace")
        if answer == "ready":
            print(READY)
            return 0
        sys.stderr.write(answer or "it ended while it started\n")
        return 1
    os.close(reader)
    os.setsid()
    try:
        supervisor = _prepare(RuntimePaths(given.state, host=given.host))
    except Exception as error:  # told to the client that waits for this process
        message = str(error) if isinstance(error, AnyjobError) else f"{type(error).__name__}: {error}"
        os.write(writer, message.encode())
        os._exit(1)
    os.write(writer, b"ready")
    os.close(writer)
    if supervisor is not None:
        _serve(supervisor)
    os._exit(0)


def _prepare(paths: RuntimePaths) -> Supervisor | None:
    """Take the lock and listen. Return None where another supervisor does."""
    errors = os.open(
        paths.logs / "supervisor.err",
        os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
    )
    if os.fstat(errors).st_size > 1 << 20:
        os.ftruncate(errors, 0)
    lock = take_lock(paths.supervisor_lock)
    if lock is None:
        if not paths.supervisor_socket.exists():
            _wake(paths)
        return None
    supervisor = Supervisor(paths, listen(paths.supervisor_socket), lock)
    null = os.open(os.devnull, os.O_RDWR)
    for target, source in ((0, null), (1, errors), (2, errors)):
        os.dup2(source, target)
    os.close(null)
    os.close(errors)
    return supervisor


def _wake(paths: RuntimePaths) -> None:
    """Have the one that serves look whether it can be found, and make room for the next if not."""
    pid = lock_holder(paths.supervisor_lock)
    if pid is not None and pid != UNSEEN:
        with suppress(OSError):  # it has ended
            os.kill(pid, WAKE)


def _serve(supervisor: Supervisor) -> None:
    gc.collect()
    gc.freeze()
    try:
        supervisor.run()
    except Exception as error:  # the last that this process does is to log why it ends
        log_error(error)
    # The socket stays: it is only ever replaced by one who has the lock.


if __name__ == "__main__":
    sys.exit(main())

"""Starts the keeper: the parent of the jobs of the `local` backend, one a user, host and state directory."""

from __future__ import annotations

import json
import os
import sys
import time

from anyjob.builtin.local import process_attributes
from anyjob.builtin.local.ipc.sockets import RUNTIME_RECORD
from anyjob.builtin.local.keeper.daemon import adopt_orphans, check_private, detach
from anyjob.builtin.local.keeper.log import worker_log
from anyjob.builtin.local.keeper.log.lines import keeper_line
from anyjob.builtin.local.keeper.log.writer import LogWriter
from anyjob.builtin.local.keeper.service import Keeper
from anyjob.builtin.local.keeper.socket_place import SocketPlace
from anyjob.builtin.local.locks import is_in_place, take_lock
from anyjob.execution.interpreter import unmark_interpreter


def main(arguments: list[str] | None = None) -> int:
    """Keep jobs until there is nothing more to do; at once where another keeper does. Return 0.

    Takes ``--state DIR --runtime DIR``, and ``--host NAME``, ``--supervisor JSON`` (its command),
    ``--idle SECONDS``, ``--zygote-idle SECONDS``.
    Lock, log and ``keeper.err`` are in ``hosts/HOST`` below the state directory, since several hosts
    may share that.
    """
    unmark_interpreter()
    process_attributes.reset()
    given = sys.argv[1:] if arguments is None else arguments
    options = dict(zip(given[::2], given[1::2], strict=True))
    state, runtime = os.path.abspath(options["--state"]), os.path.abspath(options["--runtime"])
    logs = os.path.join(state, "hosts", options.get("--host") or os.uname().nodename)
    os.makedirs(logs, 0o700, exist_ok=True)
    for directory in (state, logs, runtime):
        check_private(directory)
    detach(os.path.join(logs, "keeper.err"))
    lock_path = os.path.join(logs, "keeper.lock")
    log_path = os.path.join(logs, "keeper.log")
    lock = take_lock(lock_path)
    if lock is None or worker_log.left_in(worker_log.directory(log_path)):
        return 0  # there is another one, or nobody has accounted yet for what one has left
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    adopt_orphans()
    log = LogWriter(log_path)
    log.append(keeper_line(time.time()))
    place = SocketPlace(os.path.join(logs, RUNTIME_RECORD), runtime)
    keeper = Keeper(
        state,
        place.listen(),
        log,
        listen_anew=place.listen_anew,
        in_place=lambda: is_in_place(lock, lock_path),
        supervisor=json.loads(options.get("--supervisor", "[]")),
        idle=float(options.get("--idle", 10)),
        zygote_idle=float(options.get("--zygote-idle", 60)),
    )
    keeper.run()
    if is_in_place(lock, lock_path):  # else the socket is that of the next one
        place.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the keeper is told of a job with several tasks: it is one program, which starts them.

See `anyjob.standalone.task_group`, and for calls `anyjob.standalone.task_call`.
"""

from __future__ import annotations

import os
import pickle
import sys
from functools import cache
from pathlib import Path
from pkgutil import get_data
from typing import Any

from anyjob.builtin.local.supervisor.jobs.bulks import Bulk
from anyjob.spool.private_files import write_private

CALL = "call.pkl"
"""The file, in the directory of the job, in which a call lies."""


def command_tasks(argv: list[bytes], tasks: int, grace: float) -> list[bytes]:
    """Return the command that starts a command so many times.

    Args:
        argv: the program and its arguments.
        tasks: how many times.
        grace: seconds between TERM and KILL for those that are left when one has failed.
    """
    return _group("command", argv, tasks, grace)


def call_tasks(
    bulk: Bulk,
    payload: bytes | None,
    directory: str,
    *,
    tasks: int,
    grace: float,
    durable: bool,
    results: dict[str, Any] | str | None = None,
) -> list[bytes]:
    """Return the command that makes a call so many times; the call is laid into the directory of the job.

    Args:
        bulk: what the call shares with others.
        payload: its arguments, pickled; None where they are in a file of the directory.
        directory: that of the job.
        tasks: how many times.
        grace: seconds between TERM and KILL for those that are left when one has failed.
        durable: whether reports reach the disk before they count.
        results: those of other jobs that are arguments: see `anyjob.standalone.runner.Results`.

    Raises:
        OSError: it cannot be written.
    """
    call: dict[str, Any] = {
        "runner": _source("runner.py"),
        "path": list(bulk.context.path),
        "shared": bulk.shared,
        "payload": payload,
        "payload_file": f"{directory}/payload.pkl",
        "durable": durable,
        "results": results,
        "is_warned": bulk.resources.signal_before is not None,
    }
    os.makedirs(directory, 0o700, exist_ok=True)
    write_private(Path(directory, CALL), pickle.dumps(call, 5))
    python = bulk.context.python or sys.executable
    words = [python, "-P", "-c", _source("task_call.py")]
    return _group("call", [os.fsencode(word) for word in words], tasks, grace)


def _group(kind: str, argv: list[bytes], tasks: int, grace: float) -> list[bytes]:
    words = [sys.executable, "-I", "-S", "-c", group_program(), str(tasks), str(grace), kind]
    return [*map(os.fsencode, words), *argv]


@cache
def group_program() -> str:
    """Return the text of `anyjob.standalone.task_group`, as a program that needs nothing of anyjob."""
    name = "anyjob.standalone.pmi_server"
    lines = (
        "import sys",
        f"module = sys.modules[{name!r}] = type(sys)({name!r})",
        f"exec({_source('pmi_server.py')!r}, vars(module))",
        f"exec({_source('task_group.py')!r})",
    )
    return "\n".join(lines)


@cache
def _source(name: str) -> str:
    return (get_data("anyjob.standalone", name) or b"").decode()  # it may be in an archive

"""The file ``work`` of a job: what it is to run, and which submission it is of."""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from anyjob.batch.dialect import Dialect
from anyjob.orders import Order
from anyjob.serialization.pickling import dump_call
from anyjob.specs import Call, Command
from anyjob.spool.private_files import make_private, open_private, write_new

NOT_AN_ARRAY = -1
"""The number of a job that is no task of an array."""
GRACE = 5.0
"""Seconds between TERM and KILL."""


class Membership(NamedTuple):
    """Which submission a job is of.

    Args:
        submission: its directory.
        position: where the job is in the list of the submission, from 0.
        task: the task of the array that it runs in, from 0; `NOT_AN_ARRAY` where it is none.
        pack: how many jobs that task runs.
    """

    submission: Path
    position: int
    task: int
    pack: int

    def native_id(self, dialect: Dialect, job: str) -> str:
        """Return the scheduler's id of the job, given that of the submission."""
        return dialect.id_of(job, None if self.task == NOT_AN_ARRAY else dialect.first_task + self.task)

    @property
    def log(self) -> Path:
        """What was said before the work started."""
        return self.submission / f"log-{max(self.task, 0)}"


def write_work(order: Order, member: Membership, cwd: str, dialect: Dialect) -> None:
    """Write what a job is to run, and lay the files into its directory that it reads.

    Args:
        order: the job.
        member: which one it is of its submission.
        cwd: the directory that it is submitted from.
        dialect: that of the scheduler.

    Raises:
        OSError: it cannot be written.
        SpecError: a file that goes with the work cannot be read.
    """
    directory = order.spool
    assert directory is not None
    make_private(directory)
    work: dict[str, Any] = {
        "walltime": order.resources.walltime,
        "signal_before": order.resources.signal_before,
        "signal": order.resources.signal,
        "requeue": dialect.requeue if order.resources.on_walltime else (),
        "grace": GRACE,
        "gpus": asks_for_gpus(order),
        "restartable": order.resources.restartable,
        "environment": _encode(order.environment),
        "cwd": os.fsencode(cwd),
        "stdin": False,
        "scheduler": dialect.title,
        "end_signals": dialect.end_signals,
        "ignored_signals": dialect.ignored_signals,
        "reserved_exit_codes": dialect.reserved_exit_codes,
    }
    spec, payload = order.spec, b""
    if isinstance(spec, Call):
        if spec.cwd is not None:
            work["cwd"] = os.fsencode(spec.cwd)
            work["must_be_there"] = True
        path = [entry or cwd for entry in sys.path if entry or cwd]
        work.update(kind="python", path=path)
        payload = dump_call(spec)
    else:
        assert isinstance(spec, Command)
        work.update(kind="command", argv=[os.fsencode(argument) for argument in spec.argv])
        work["environment"].update(_encode(spec.env))
        if spec.cwd is not None:
            work["cwd"] = os.fsencode(os.path.join(cwd, spec.cwd))
        work["outputs"] = [path and os.fsencode(path) for path in (spec.stdout, spec.stderr)]
        if spec.stdin is not None:
            work["stdin"] = True
            write_new(directory / "stdin", spec.stdin.taken().content or b"")
        if spec.files:
            make_private(directory / "files")
        for name, file in spec.files.items():
            write_new(directory / "files" / name, file.taken().content or b"")
    data = marshal.dumps(work, 2)  # of the same format for all versions of Python
    place = f"{member.submission.name} {member.position} {member.task} {member.pack}"
    head = f"{place} {len(data)} {len(payload)}\n".encode()
    write_new(directory / "work", b"".join((head, data, payload)))


def _encode(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def asks_for_gpus(order: Order) -> bool:
    """Whether a job is to have GPUs, or a part of one."""
    return bool(order.resources.gpus or order.resources.gpu_memory)


def read_membership(directory: Path) -> Membership | None:
    """Return which submission the job with this directory is of; None where it was not written."""
    try:
        with _open_work(directory) as stream:
            submission, position, task, pack, *_ = stream.readline(100).split()
    except (OSError, ValueError):
        return None
    path = directory.parent.parent / "submissions" / submission.decode()
    return Membership(path, int(position), int(task), int(pack))


def _open_work(directory: Path) -> BinaryIO:
    """Open what a job is to run, by the name that it has before it is claimed, or after it."""
    try:
        return open_private(directory / "work")
    except FileNotFoundError:
        return open_private(directory / "claim")

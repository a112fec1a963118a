"""What the jobs of a submission are to run: the file ``work``, which has all of them one after the other."""

from __future__ import annotations

import marshal
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from anyjob.batch.dialect import Dialect
from anyjob.orders import Order
from anyjob.serialization.pickling import dump_call
from anyjob.specs import Call, Command
from anyjob.spool.private_files import make_private, write_private

GRACE = 5.0
"""Seconds between TERM and KILL."""


def encoded(orders: Iterable[Order], cwd: str, dialect: Dialect) -> Iterator[tuple[bytes, bytes]]:
    """Yield what each job is to run, and the payload of its call, which is empty for a program.

    Args:
        orders: the jobs.
        cwd: the directory that they are submitted from.
        dialect: that of the scheduler.
    """
    words = {
        "grace": GRACE,
        "scheduler": dialect.title,
        "end_signals": dialect.end_signals,
        "ignored_signals": dialect.ignored_signals,
        "reserved_exit_codes": dialect.reserved_exit_codes,
    }
    path = [entry or cwd for entry in sys.path if entry or cwd]
    for order in orders:
        work: dict[str, Any] = {
            **words,
            "walltime": order.resources.walltime,
            "signal_before": order.resources.signal_before,
            "signal": order.resources.signal,
            "requeue": dialect.requeue if order.resources.on_walltime else (),
            "gpus": asks_for_gpus(order),
            "restartable": order.resources.restartable,
            "environment": _encode(order.environment),
            "cwd": os.fsencode(cwd),
            "stdin": False,
        }
        spec, payload = order.spec, b""
        if isinstance(spec, Call):
            if spec.cwd is not None:
                work["cwd"] = os.fsencode(spec.cwd)
                work["must_be_there"] = True
            work.update(kind="python", path=path)
            payload = dump_call(spec)
        else:
            assert isinstance(spec, Command)
            work.update(kind="command", argv=[os.fsencode(argument) for argument in spec.argv])
            work["environment"].update(_encode(spec.env))
            if spec.cwd is not None:
                work["cwd"] = os.fsencode(os.path.join(cwd, spec.cwd))
            work["outputs"] = [path and os.fsencode(path) for path in (spec.stdout, spec.stderr)]
            work["stdin"] = spec.stdin is not None
        yield marshal.dumps(work, 2), payload  # of the same format for all versions of Python


def write_inputs(order: Order) -> None:
    """Lay the files into the directory of a job that it reads; most have none, and no directory yet.

    Raises:
        OSError: they cannot be written.
        SpecError: a file that goes with the work cannot be read.
    """
    if not _has_inputs(order):
        return
    directory, spec = order.spool, order.spec
    assert directory is not None
    assert isinstance(spec, Command)
    make_private(directory)
    # What is there is of a submission that was renounced.
    if spec.stdin is not None:
        write_private(directory / "stdin", spec.stdin.taken().content or b"")
    for name, file in spec.files.items():
        write_private(directory / "files" / name, file.taken().content or b"")


def remove_inputs(orders: Iterable[Order]) -> None:
    """Remove what was laid there for jobs that were not handed over."""
    for order in orders:
        if _has_inputs(order) and order.spool is not None:
            shutil.rmtree(order.spool / "files", ignore_errors=True)
            with suppress(OSError):
                os.unlink(order.spool / "stdin")
            with suppress(OSError):
                os.rmdir(order.spool)  # unless something else is there


def _has_inputs(order: Order) -> bool:
    spec = order.spec
    return isinstance(spec, Command) and (spec.stdin is not None or bool(spec.files))


def _encode(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def asks_for_gpus(order: Order) -> bool:
    """Whether a job is to have GPUs, or a part of one."""
    return bool(order.resources.gpus or order.resources.gpu_memory)

"""How the ledger writes what jobs run in, what they need, and what came of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from anyjob.ledger.rows import Row
from anyjob.outcome import KeptByBackend, LocalValue, Outcome
from anyjob.resources import Resources
from anyjob.spool.job_spool import InSpool
from anyjob.spool.outcomes import unreadable
from anyjob.standalone import runner
from anyjob.status import JobStatus

_IN_SPOOL = 1
"""What msgpack is told that a path is which stands for a value."""
_KEPT_BY_BACKEND = 2
"""The same for what a backend finds a value by."""


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the jobs of a bulk run in, beside their own specs."""

    route: tuple[str, ...]
    resources: bytes
    cwd: bytes = b""
    environment: str = ""
    python: str = ""
    path: tuple[str, ...] = ()
    gpus: tuple[tuple[str, int], ...] = ()
    """Of `local`: the GPUs that they may have, by id, with the bytes that each has."""
    parent: str = ""  # the job that has submitted them
    takes_results: bool = False
    """Whether results of other jobs are among the arguments of calls."""
    host: str = ""
    """Where they were submitted, of those that are handed to an engine from there later."""


class _BytePaths(Context, frozen=True, omit_defaults=True):
    """A context as it is written where a path is no UTF-8: paths stand in bytes."""

    environment: bytes = b""  # type: ignore[assignment]
    python: bytes = b""  # type: ignore[assignment]
    path: tuple[bytes, ...] = ()  # type: ignore[assignment]


def encode_context(context: Context) -> bytes:
    """Return a context as bytes, whatever bytes its paths hold."""
    try:
        return msgspec.msgpack.encode(context)
    except UnicodeEncodeError:
        return msgspec.msgpack.encode(_converted(context, _BytePaths, _to_bytes))


def decode_context(data: bytes) -> Context:
    """The inverse of `encode_context`."""
    try:
        return msgspec.msgpack.decode(data, type=Context)
    except msgspec.ValidationError:
        return _converted(msgspec.msgpack.decode(data, type=_BytePaths), Context, _of_bytes)


def _converted(context: Context, to: type[Context], convert: Callable[[Any], Any]) -> Context:
    """Return a context with each of its paths converted."""
    return to(
        context.route,
        context.resources,
        context.cwd,
        convert(context.environment),
        convert(context.python),
        tuple(map(convert, context.path)),
        context.gpus,
        context.parent,
        context.takes_results,
        context.host,
    )


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _of_bytes(text: bytes) -> str:
    return text.decode("utf-8", "surrogatepass")


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def encode_resources(resources: Resources) -> bytes:
    """Return resources as JSON, whatever characters names, tags and options hold."""
    try:
        return msgspec.json.encode(resources)
    except UnicodeEncodeError:
        import json  # msgspec takes no text that is no text

        text = json.dumps(msgspec.to_builtins(resources), ensure_ascii=False)
        return _to_bytes(text)


def decode_resources(data: bytes) -> Resources:
    """The inverse of `encode_resources`."""
    try:
        return msgspec.json.decode(data, type=Resources)
    except (UnicodeDecodeError, msgspec.DecodeError):  # the one of msgspec before 0.23, the other of it since
        if _is_text(data):
            raise
        import json

        return Resources(**json.loads(_of_bytes(data)))


def encode_outcome(outcome: Outcome) -> bytes:
    """Return an outcome as bytes; what it holds in memory is pickled."""
    value = outcome.value
    if isinstance(value, InSpool):
        value = msgspec.msgpack.Ext(_IN_SPOOL, os.fsencode(value))
    elif isinstance(value, KeptByBackend):
        value = msgspec.msgpack.Ext(_KEPT_BY_BACKEND, value.encode())
    elif value is not None and not isinstance(value, bytes):
        value = runner.dumps(value.value if isinstance(value, LocalValue) else value)
    if value is not outcome.value:
        outcome = msgspec.structs.replace(outcome, value=value)
    try:
        return msgspec.msgpack.encode(outcome)
    except UnicodeEncodeError:  # what failed has said why in text that is no text
        told = {"message": _escaped(outcome.message), "traceback": _escaped(outcome.traceback)}
        return msgspec.msgpack.encode(msgspec.structs.replace(outcome, **told))


def make_writable(outcome: Outcome) -> Outcome:
    """Return an outcome that the ledger can hold: a call may have left anything in its own."""
    try:
        encode_outcome(outcome)
    except Exception as error:  # what a call has put into its outcome may fail in any way to be written
        return Outcome(
            status=JobStatus.ERROR,
            reason=outcome.reason if isinstance(outcome.reason, str) else "exception",
            message=ascii(outcome.message) if outcome.message else f"its outcome cannot be kept: {error}",
            finished=time.time(),
            attempt=outcome.attempt,
        )
    return outcome


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def outcome_of(row: Row) -> Outcome:
    """Return what came of a job that has ended: what its row says, where no more was written."""
    if row.outcome is not None:
        return decode_outcome(row.outcome)
    return Outcome(
        status=row.status,
        reason=row.reason,
        started=row.started,
        finished=row.finished,
        attempt=row.attempt,
    )


def decode_outcome(data: bytes) -> Outcome:
    """The inverse of `encode_outcome`; of what is damaged, the outcome says so."""
    try:
        outcome = msgspec.msgpack.decode(data, type=Outcome)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return unreadable(f"the ledger holds something else ({error})")
    if isinstance(outcome.value, msgspec.msgpack.Ext):
        data = bytes(outcome.value.data)
        kept = outcome.value.code == _KEPT_BY_BACKEND
        outcome.value = KeptByBackend(data.decode()) if kept else InSpool(os.fsdecode(data))
    outcome.host = sys.intern(outcome.host)  # many outcomes may be held, of few hosts
    return outcome

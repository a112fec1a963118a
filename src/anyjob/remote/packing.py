"""Orders and outcomes as they travel between two machines, of which neither sees the other's files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from anyjob.errors import SpecError
from anyjob.ledger.encoding import decode_resources
from anyjob.orders import Observation, Order
from anyjob.outcome import KeptByBackend, LocalValue, Outcome
from anyjob.remote.messages import (
    INLINE,
    Body,
    CallWork,
    CommandWork,
    Explained,
    FileBody,
    RemoteObservation,
    RemoteOrder,
    RemoteOutcome,
)
from anyjob.resources import Resources
from anyjob.serialization.pickling import PickledCall, dump_call
from anyjob.specs import Call, Command, File, Spec
from anyjob.spool.job_spool import InSpool, held_input
from anyjob.status import JobStatus
from anyjob.text.brief import in_a_line
from anyjob.text.printable import printable
from anyjob.views.explanation.facts import Explanation

_PLAIN = tuple(
    field for field in RemoteOutcome.__struct_fields__ if field not in ("status", "value", "value_size")
)
Bodies = dict[str, "bytes | Path"]
"""Bodies that are sent by themselves, by their hash: what they are, or where they lie."""


def pack(
    order: Order,
    resources: bytes,
    large: Bodies,
    find_directory: Callable[[str], Path],
    describe: Callable[[Any], str],
) -> RemoteOrder:
    """Return an order as it travels.

    Args:
        order: of a command or a call.
        resources: its resources, encoded, which most of many share.
        large: gets what is too large to go with it.
        find_directory: gives the directory of a job on this side, which has the large files that go with it.
        describe: says in a line what a call is.

    Raises:
        SerializationError: something in a call cannot be pickled.
    """
    spec = order.spec
    variables = {k: v for k, v in order.environment.items() if k != "ANYJOB_JOB_ID"}
    work: CommandWork | CallWork
    if isinstance(spec, Call):
        work = CallWork(
            _body(dump_call(spec), large),
            _encoded(variables),
            None if spec.cwd is None else os.fsencode(spec.cwd),
            in_a_line(describe, spec).encode("utf-8", "replace"),
        )
    else:
        assert isinstance(spec, Command)
        work = CommandWork(
            [argument.encode() if argument.isascii() else os.fsencode(argument) for argument in spec.argv],
            _encoded({**variables, **spec.env}) if variables or spec.env else {},
            None if spec.cwd is None else os.fsencode(spec.cwd),
            stdout=None if spec.stdout is None else os.fsencode(spec.stdout),
            stderr=None if spec.stderr is None else os.fsencode(spec.stderr),
        )
        if spec.stdin is not None or spec.files:
            directory = find_directory(order.job_id)
            work.stdin = None if spec.stdin is None else _file(spec.stdin, large, directory)
            work.files = {
                os.fsencode(name): _file(file, large, directory) for name, file in spec.files.items()
            }
    return RemoteOrder(order.job_id, work, resources)


def unpack_resources(resources: bytes) -> Resources:
    """Return what an order that has come needs.

    Raises:
        SpecError: it makes no sense.
    """
    try:
        return decode_resources(resources)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise SpecError(f"its resources cannot be read: {error}") from error


def unpack_work(work: CommandWork | CallWork, load: Callable[[str], bytes]) -> Spec:
    """Return the work of an order that has come.

    Args:
        work: the work.
        load: gives a body that was sent by itself.

    Raises:
        SpecError: it makes no sense.
    """

    def content(body: Body) -> bytes:
        return load(body.sha256) if body.data is None else body.data

    def file(given: FileBody) -> File:
        body, name = given.content, os.fsdecode(given.name)
        return File(name, body.data) if body.data is not None else File(name, sha256=body.sha256)

    if isinstance(work, CallWork):
        text = work.text.decode("utf-8", "replace")
        call = PickledCall.of(content(work.pickled), text, _decoded(work.env))
        return call if work.cwd is None else call.in_directory(os.fsdecode(work.cwd))
    return Command(
        [os.fsdecode(argument) for argument in work.argv],
        env=_decoded(work.env),
        cwd=None if work.cwd is None else os.fsdecode(work.cwd),
        stdin=None if work.stdin is None else file(work.stdin),
        files={os.fsdecode(name): file(given) for name, given in work.files.items()},
        stdout=None if work.stdout is None else os.fsdecode(work.stdout),
        stderr=None if work.stderr is None else os.fsdecode(work.stderr),
    )


def size_of(order: RemoteOrder) -> int:
    """Return about how many bytes an order is."""
    work = order.work
    size = 200 + len(order.resources)
    if isinstance(work, CallWork):
        return size + len(work.pickled.data or b"") + len(work.text)
    if work.stdin is not None or work.files:
        bodies = [work.stdin, *work.files.values()]
        size += sum(len(file.content.data or b"") for file in bodies if file is not None)
    for name, value in work.env.items():
        size += len(name) + len(value)
    return size + sum(map(len, work.argv))


def pack_outcome(outcome: Outcome) -> RemoteOutcome:
    """Return an outcome as it travels: of a large value only that it is there."""
    value = outcome.value
    packed = RemoteOutcome(outcome.status.name, **{name: getattr(outcome, name) for name in _PLAIN})
    if isinstance(value, (InSpool, KeptByBackend, LocalValue)):
        packed.value_size = -1
    elif isinstance(value, bytes):
        packed.value, packed.value_size = (value, None) if len(value) <= INLINE else (None, len(value))
    if not isinstance(packed.exception, bytes):
        packed.exception = None
    packed.message, packed.traceback = _told(packed.message), _told(packed.traceback)
    return packed


def pack_record(record: Any) -> RemoteObservation:
    """Return where a job is, and what came of it, as that travels."""
    seen = RemoteObservation(
        record.status.name,
        None,
        _told(record.message),
        record.queue_position,
        record.attempt,
        record.cost,
        record.currency,
    )
    if record.outcome is not None:
        seen.outcome = pack_outcome(record.outcome)
        seen.reason = record.outcome.reason
    return seen


def pack_explanation(told: Explanation) -> Explained:
    """Return why a job is where it is, as that travels."""
    return Explained(_told(told.headline), tuple(map(_told, told.why)), tuple(map(_told, told.ways_out)))


def unpack_explanation(told: Explained, host: str) -> Explanation:
    """Return why a job is where it is, as it has come, with where that is said.

    Args:
        told: as it travelled.
        host: what the other machine is called.
    """
    return Explanation(
        f"{host} says that it {printable(told.headline)}",
        tuple(printable(line, keep="\n") for line in told.why),
        tuple(f"there, on {host}: {printable(line)}" for line in told.ways_out),
    )


def size_of_observation(seen: RemoteObservation) -> int:
    """Return about how many bytes an observation is."""
    outcome = seen.outcome
    size = 100 + len(seen.message)
    if outcome is not None:
        size += 100 + len(outcome.value or b"") + len(outcome.exception or b"") + len(outcome.traceback)
    return size


def _told(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def unpack_outcome(outcome: RemoteOutcome, job_id: str, *, trusted: bool) -> Outcome:
    """Return an outcome that has come.

    Args:
        outcome: as it travelled.
        job_id: whose it is.
        trusted: whether what is pickled in it may be unpickled here, ever.

    Raises:
        KeyError: its status is none.
    """
    made = Outcome(status=JobStatus[outcome.status], **{name: getattr(outcome, name) for name in _PLAIN})
    made.value = outcome.value
    if outcome.value is None and outcome.value_size is not None:
        made.value = KeptByBackend(job_id)
    if not trusted:
        made.value = made.exception = None
    return made


def unpack_observation(seen: RemoteObservation) -> Observation:
    """Return where a job is, as it has come.

    Raises:
        KeyError: its status is none.
    """
    return Observation(
        JobStatus[seen.status],
        seen.reason,
        seen.message,
        seen.queue_position,
        seen.attempt,
        seen.cost,
        seen.currency,
    )


def _file(file: File, large: Bodies, directory: Path) -> FileBody:
    name = os.path.basename(os.fsencode(file.path)) or b"file"
    if file.sha256:
        large[file.sha256] = held_input(directory, file.sha256)
        return FileBody(name, Body(None, file.sha256))
    return FileBody(name, _body(file.taken().content or b"", large))


def _body(data: bytes, large: Bodies) -> Body:
    if len(data) <= INLINE:
        return Body(data)
    digest = hashlib.sha256(data).hexdigest()
    large[digest] = data
    return Body(None, digest)


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def _decoded(variables: Mapping[bytes, bytes]) -> dict[str, str]:
    return {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()}

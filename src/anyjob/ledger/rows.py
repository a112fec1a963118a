"""What stands in the ledger: its rows, and how states and outcomes are written."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from anyjob.execution import runner
from anyjob.execution.spool import InSpool
from anyjob.specs import Held, Outcome, Resources
from anyjob.status import JobStatus

STATES = (
    JobStatus.INITIALIZING,
    JobStatus.QUEUED,
    JobStatus.VALIDATING,
    JobStatus.RUNNING,
    JobStatus.CANCELLED,
    JobStatus.DONE,
    JobStatus.ERROR,
)
"""States are kept as numbers, in this order."""
FINAL = 4
"""The first of the final states."""
CODE = {status: code for code, status in enumerate(STATES)}


class BackendRow(msgspec.Struct, frozen=True):
    """Which backend a job was given to: what it is, not what it is called."""

    fingerprint: str
    label: str
    type: str
    distribution: str
    options: dict[str, Any]
    host: str = ""


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the jobs of a bulk run in, beside their own specs."""

    route: tuple[str, ...]
    resources: bytes
    cwd: bytes = b""
    environment: str = ""
    python: str = ""
    path: tuple[str, ...] = ()


class NewJob(msgspec.Struct):
    """A job to be written: its native work as bytes, what it was lowered from, where it was, and what
    plugins noted of it.
    """

    job_id: str
    payload: bytes | None
    spec: bytes | None = None
    notes: dict[str, str] = {}


class Row(msgspec.Struct):
    """What the ledger knows of one job."""

    n: int
    job_id: str
    bulk: int
    backend: int
    label: str
    kind: str
    native: str
    name: str
    submitted: float
    state: int
    attempt: int
    native_id: str | None
    started: float | None
    finished: float | None
    reason: str | None
    outcome: bytes | None
    told: int = 0

    def __post_init__(self) -> None:
        self.name = of_column(self.name)

    @property
    def status(self) -> JobStatus:
        """Where the job is."""
        return STATES[self.state]


def as_column(text: str) -> str | bytes:
    """Return a name or tag as SQLite takes it: in bytes where it cannot be written in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def of_column(value: str | bytes) -> str:
    """The inverse of `as_column`."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def encode_resources(resources: Resources) -> bytes:
    """Return resources as JSON, whatever characters names, tags and options hold."""
    try:
        return msgspec.json.encode(resources)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(resources), ensure_ascii=False)
        return text.encode("utf-8", "surrogatepass")


def decode_resources(data: bytes) -> Resources:
    """The inverse of `encode_resources`."""
    try:
        return msgspec.json.decode(data, type=Resources)
    except UnicodeDecodeError:
        return Resources(**json.loads(data.decode("utf-8", "surrogatepass")))


def encode_outcome(outcome: Outcome) -> bytes:
    """Return an outcome as bytes; what it holds in memory is pickled."""
    value = outcome.value
    if isinstance(value, InSpool):
        value = str(value)  # msgspec encodes no subclasses of it
    elif value is not None and not isinstance(value, bytes):
        value = runner.dumps(value.value if isinstance(value, Held) else value)
    if value is not outcome.value:
        outcome = msgspec.structs.replace(outcome, value=value)
    try:
        return msgspec.msgpack.encode(outcome)
    except UnicodeEncodeError:  # what failed has said why in text that is no text
        told = {"message": _escaped(outcome.message), "traceback": _escaped(outcome.traceback)}
        return msgspec.msgpack.encode(msgspec.structs.replace(outcome, **told))


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def decode_outcome(data: bytes) -> Outcome:
    """The inverse of `encode_outcome`."""
    outcome = msgspec.msgpack.decode(data, type=Outcome)
    if isinstance(outcome.value, str):
        outcome.value = InSpool(outcome.value)
    return outcome

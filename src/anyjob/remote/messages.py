"""What the two ends of a channel say to each other: what is taken in is checked against these types."""

from __future__ import annotations

from typing import Any

import msgspec

MAGIC = b"\nanyjob-remote-1\n"
"""What the far end writes first; whatever comes before it was printed by the login shell."""
PROTOCOL = 1
"""The version of all that is in this module."""
LARGEST = 8 << 20
"""Bytes of a message, at most; more is somebody who speaks something else."""
BULK = 500
"""Jobs that one request is about, at most."""
BULK_SIZE = 4 << 20
"""Bytes of a request or an answer from which what is left goes into the next."""
CHUNK = 1 << 20
"""Bytes of a body that one message holds, at most: pings pass between."""
INLINE = 64 << 10
"""Bytes of a body up to which it goes with its job; others go by themselves, once each, by their hash."""

AHEAD = 16 << 20
"""Bytes of a body from which it is sent while it is taken, if the far side has none that is like it."""


class OfferedBackend(msgspec.Struct, omit_defaults=True):
    """A backend of the far side.

    Args:
        type: its type.
        problem: what is wrong with it, if anything is known to be.
        accepts: the kinds of work that it takes; these and the next are told in answer to ``offers`` only.
        can: the names of its capabilities, and of those of `anyjob.Resources` that it knows beside them.
    """

    type: str
    problem: str = ""
    accepts: list[str] = []
    can: list[str] = []


class Hello(msgspec.Struct):
    """The first message of the far end.

    Args:
        protocol: its version of this module.
        anyjob: its version of anyjob.
        api: its version of the plugin API.
        python: its version of Python.
        host: what the machine is called.
        user: who we are there.
        state: its state directory.
        identity: what tells that from all others, also from one that takes its place.
        machine: what tells the machine from all others; empty where it has nothing such.
        time: its clock, in seconds since 1970.
        pid: its process.
        default: its default backend.
        backends: those that are configured there, and the default one.
        free: bytes that are free where its state directory is.
        jobs: the highest number that its ledger has given to a job: less than once, and it was put back.
        problem: why its configuration cannot be used, if it cannot.
    """

    protocol: int
    anyjob: str = ""
    api: str = ""
    python: str = ""
    host: str = ""
    user: str = ""
    state: str = ""
    identity: str = ""
    machine: str = ""
    time: float = 0.0
    pid: int = 0
    default: str = ""
    backends: dict[str, OfferedBackend] = {}
    free: int | None = None
    jobs: int = 0
    problem: str = ""


class Body(msgspec.Struct, omit_defaults=True):
    """Bytes that go with a job: themselves, or where they are large the hash that they were sent under."""

    data: bytes | None = None
    sha256: str = ""


class FileBody(msgspec.Struct, omit_defaults=True):
    """A file that goes with a command: its name, and its content."""

    name: bytes
    content: Body


class CommandWork(msgspec.Struct, tag="command", omit_defaults=True):
    """A program. Text is in bytes, since the operating system's need not be UTF-8."""

    argv: list[bytes]
    env: dict[bytes, bytes] = {}
    cwd: bytes | None = None
    stdin: FileBody | None = None
    files: dict[bytes, FileBody] = {}
    stdout: bytes | None = None
    stderr: bytes | None = None


class CallWork(msgspec.Struct, tag="python", omit_defaults=True):
    """A call, pickled: what to call, and its arguments; ``text`` says in a line what it is."""

    pickled: Body
    env: dict[bytes, bytes] = {}
    cwd: bytes | None = None
    text: bytes = b""


class RemoteOrder(msgspec.Struct, omit_defaults=True):
    """A job to be handed over: our id of it, its work, and its resources as the ledger writes them."""

    job_id: str
    work: CommandWork | CallWork
    resources: bytes


class Submit(msgspec.Struct):
    """Hand over jobs: those that are known there already are as they are."""

    backend: str
    orders: list[RemoteOrder]


class JobIds(msgspec.Struct):
    """Ask about jobs, or cancel them."""

    backend: str
    ids: list[str]


class Control(msgspec.Struct):
    """Do something to jobs: see `TaskBackend.control`."""

    backend: str
    ids: list[str]
    action: str
    value: int | None = None


class Limit(msgspec.Struct):
    """Have at most so many jobs of a name, or with each of these tags, run at a time; None: any number.

    Without either nothing is changed: what limits there are is asked.
    """

    backend: str
    name: str = ""
    most: int | None = None
    tags: dict[str, str] = {}


class Limits(msgspec.Struct):
    """The limits that there are now, by name, or by ``tag:KEY=VALUE``."""

    limits: dict[str, int]


class Read(msgspec.Struct):
    """Read a part of what a job has left.

    That is ``stdout`` or ``stderr``, of this attempt, or where that is 0 of the last that has begun; or
    ``value``, what it returned, pickled; or ``file``, the one of this name; or ``names``, those of the files
    in its own directory, with a NUL after each.
    """

    backend: str
    id: str
    what: str
    offset: int
    size: int
    name: bytes = b""
    attempt: int = 0


class Names(msgspec.Struct):
    """Ask about these: which of these bodies are missing there, by their hashes; or what backends can do."""

    names: list[str]


class Modules(msgspec.Struct):
    """Ask which of these modules calls cannot import there, as far as that is known."""

    backend: str
    names: list[str]


class WithData(msgspec.Struct, kw_only=True):
    """What holds many bytes: they come last of its fields, so that they can be sent as they are."""

    data: memoryview  # of the message: it is not copied


class Sample(msgspec.Struct):
    """Ask whether a body of this size may be there, pieces of which have this hash."""

    size: int
    sha256: str


class Possible(msgspec.Struct):
    """Whether it may be."""

    may_be: bool


class Put(WithData):
    """A part of a body, which has a number of its own on its channel; the last one has the hash of all."""

    number: int
    offset: int
    sha256: str = ""


class RemoteOutcome(msgspec.Struct, omit_defaults=True):
    """What came of a job: the fields of `anyjob.Outcome`; of a large value only how large it is."""

    status: str
    reason: str | None = None
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    started: float | None = None
    finished: float | None = None
    peak_memory: int | None = None
    cpu_time: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    peak_gpu_memory: int | None = None
    host: str = ""
    attempt: int = 1
    value: bytes | None = None
    value_size: int | None = None
    exception: bytes | None = None
    traceback: str = ""
    cost: float | None = None
    currency: str = ""
    exception_types: tuple[str, ...] = ()
    lost_result: str = ""


class Explained(msgspec.Struct):
    """Why a job is where it is: what `anyjob explain` says there, and what can be done about it."""

    headline: str
    why: tuple[str, ...]
    ways_out: tuple[str, ...]


class RemoteObservation(msgspec.Struct, omit_defaults=True):
    """Where a job is, and what came of it once it has ended."""

    status: str
    reason: str | None = None
    message: str = ""
    queue_position: int | None = None
    attempt: int = 1
    cost: float | None = None
    currency: str = ""
    outcome: RemoteOutcome | None = None


class Observed(msgspec.Struct):
    """Where jobs are; those for which there was no room are to be asked about once more."""

    jobs: dict[str, RemoteObservation]
    more: list[str] = []


class Submitted(msgspec.Struct):
    """What came of each order: ``""``, or why it was refused; and the highest number of a job by then."""

    jobs: dict[str, str]
    last: int = 0


class Accepted(msgspec.Struct, omit_defaults=True):
    """For each job whether that was done; or the host that it has to be asked for, where it lives on one."""

    jobs: dict[str, bool]
    elsewhere: dict[str, str] = {}


class Offers(msgspec.Struct):
    """What is to be told of backends."""

    backends: dict[str, OfferedBackend]


class Missing(msgspec.Struct):
    """Those that are not there."""

    names: list[str]


class Data(WithData):
    """A part of what was asked for; ``total`` is the size of all, where that is known."""

    total: int | None = None


class EndedAttempt(msgspec.Struct, omit_defaults=True):
    """An attempt that was followed by another: its number, why that was, and what came of it."""

    number: int
    followed_by: str
    outcome: RemoteOutcome


class Attempts(msgspec.Struct):
    """Those of one job, the first of them first."""

    ended: list[EndedAttempt]


class Failure(msgspec.Struct):
    """Why a request was not done: which kind of error, and its words."""

    error: str
    message: str


class Changed(msgspec.Struct):
    """Something has happened to these jobs: to be asked about."""

    ids: list[str]


REQUESTS: dict[str, tuple[Any, Any]] = {
    "submit": (Submit, Submitted),
    "offers": (Names, Offers),
    "observe": (JobIds, Observed),
    "find": (JobIds, Missing),
    "cancel": (JobIds, Accepted),
    "renounce": (JobIds, Missing),
    "control": (Control, Accepted),
    "limit": (Limit, Limits),
    "read": (Read, Data),
    "attempts": (JobIds, Attempts),
    "explain": (JobIds, Explained),
    "missing-bodies": (Names, Missing),
    "missing-modules": (Modules, Missing),
    "may-have": (Sample, Possible),
    "put": (Put, None),
    "ping": (None, None),
}
"""What may be asked, with the types of the question and of its answer."""

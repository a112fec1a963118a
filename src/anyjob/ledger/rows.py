"""What stands in the ledger: its rows, and how states and text are written.

They are annotated without `annotations` of __future__: `NamedTuple` compiles each that is a text.

Whoever only looks into the ledger needs no more than this; how work and outcomes are written is in
`anyjob.ledger.encoding`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

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
BLOCKED = -1
"""The state of a job that is QUEUED, and may not start before others have ended: none of `STATES`, so that
to read what may start is to read one state."""
MAY_WAIT = (BLOCKED, 0, 1)
"""The states of jobs that may wait for others: some engines have such, and start them by themselves."""
GROUP_OF_J = "g.n = (SELECT max(n) FROM dependents WHERE n <= j.n) AND g.last >= j.n"
"""That a row ``g`` of `dependents` is of a job ``j``, in SQL: jobs that follow each other share one."""
RELEASED = -2
"""The state of a job that is QUEUED, has all that it starts after, and is to be handed to an engine that does
not read the ledger by itself: that is done by the releaser of the host that it was submitted on."""
DUE = -3
"""The state of a job that is QUEUED since an attempt has failed, and goes again when its next is due."""
FIRST = DUE
"""The first of all states."""
CANCELLING = "cancel"
"""What stands as the reason of a job that has not ended, once a cancel of it was accepted."""
WAITING = "waiting"
"""What stands as the reason of a job of `local` that runs, while it waits for jobs of its own."""
HELD = "held"
"""What stands as the reason of a job of `local` that waits, and does not start until it is released."""
PAUSED = "paused"
"""What stands as the reason of a job of `local` that runs, while its processes are stopped."""
GPUS = "anyjob.gpus"
"""The note that says which GPUs a job was given."""
ATTACHED = "attached"
"""The kind of a job that others have submitted: what it was handed is not known."""
OPEN = ",".join(map(str, range(FIRST, FINAL)))
"""The states that are not final, for a query."""
CODE = {status: code for code, status in enumerate(STATES)}


def status_of(code: int) -> JobStatus:
    """Return the status that a job has whose state is kept as this number."""
    return JobStatus.QUEUED if code < 0 else STATES[code]


class BackendRow(NamedTuple):
    """Which backend a job was given to: what it is, not what it is called.

    Two are the same where they have the same ``fingerprint``: all that follows the label, as one text. A hash
    of it would be shorter; but what computes one loads OpenSSL, which takes a fifth of a start of Python.

    The ``options`` of one that a provider offers are three: ``account`` is what the provider is called,
    ``provider`` has its options, and ``backend`` those of the backend alone.
    """

    fingerprint: str
    label: str
    type: str
    distribution: str
    options: dict[str, Any]
    host: str = ""

    @property
    def account(self) -> str:
        """The name of the provider that it comes from; empty where it stands alone."""
        return str(self.options.get("account", "")) if "/" in self.type else ""

    @property
    def own_options(self) -> dict[str, Any]:
        """Its own options, without those of the provider that it comes from."""
        own: dict[str, Any] = self.options.get("backend", {}) if "/" in self.type else self.options
        return own

    @property
    def names(self) -> frozenset[str]:
        """All that it is called: its label, its type, and ``PROVIDER/BACKEND``."""
        account = self.account
        path = [f"{account}/{self.type.partition('/')[2]}"] if account else []
        return frozenset([self.label, self.type, *path])


class Summary(NamedTuple):
    """What a job is, for a person: its work in a line, and its values of the axes of a job file."""

    work: str = ""
    parameters: Mapping[str, Any] = {}


class Prerequisite(NamedTuple):
    """What a job waits for: our id of another, and the code of what that has to come to."""

    job_id: str
    condition: int


class NewJob(NamedTuple):
    """A job to be written: its native work as bytes, what it was lowered from, where it was, what plugins
    noted of it, the id of the job that it supersedes, what it is, for a person, what it starts after, the key
    under which it is to be done once, and whether its engine starts it by itself when that has come about.
    """

    job_id: str
    payload: bytes | None
    spec: bytes | None = None
    notes: Mapping[str, str] = {}
    rerun_of: str | None = None
    summary: Summary = Summary()
    after: tuple[Prerequisite, ...] = ()
    once: bytes | None = None
    started_by_engine: bool = False


class Row(NamedTuple):
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

    @classmethod
    def read(cls, values: Iterable[Any]) -> "Row":
        """Make one of the columns that a query gives."""
        row = cls._make(values)
        return row if isinstance(row.name, str) else row._replace(name=of_column(row.name))

    @property
    def status(self) -> JobStatus:
        """Where the job is."""
        return status_of(self.state)

    @property
    def is_cancelling(self) -> bool:
        """Whether a cancel of it was accepted, and it has not ended."""
        return self.state < FINAL and self.reason == CANCELLING


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

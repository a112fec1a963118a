"""The backend of type ``ray``."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anyjob import BackendError, BackendStatus, Capabilities, Observation, Order, Outcome, TaskBackend, Ticket
from anyjob.sdk import Answer, in_each_process, read_range
from anyjob_ray.options import RayJobOptions, RayOptions

if TYPE_CHECKING:
    from anyjob_ray.modes.mode import Mode

FAST = Capabilities(
    logs=True, notifies=True, call_environment=True, output_files=True, gpu_shares=True, needs=True
)
DURABLE = Capabilities(
    durable=True,
    find=True,
    logs=True,
    notifies=True,
    call_environment=True,
    output_files=True,
    gpu_shares=True,
    needs=True,
)


class RayBackend(TaskBackend):
    """Type ``ray``: calls and commands on a Ray cluster.

    It connects with the first job, or the first question about one, and not before.
    """

    Options = RayOptions
    JobOptions = RayJobOptions
    accepts = frozenset({"command", "python"})
    capabilities = FAST

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(
            configuration, provider, options=options if isinstance(options, RayOptions) else RayOptions()
        )
        self._closed = False
        in_each_process(self._make_own)
        self.is_durable = self.options.mode == "durable"
        self.capabilities = DURABLE if self.is_durable else FAST
        self.floor = 0.1 if self.is_durable else 0  # type: ignore[misc]

    def _make_own(self) -> None:
        self._mode: Mode | None = None
        self._lock = threading.Lock()

    def _open(self) -> Mode:
        """Return the way that jobs run, connected."""
        with self._lock:
            if self._mode is None:
                if self._closed:
                    raise BackendError(f"backend {self.name()!r} was closed")
                if self.is_durable:
                    from anyjob_ray.modes.durable import DurableMode

                    self._mode = DurableMode(self)
                else:
                    from anyjob_ray.modes.fast import FastMode

                    self._mode = FastMode(self)
                # Before Ray's own: a thread of ours that asks it something then would get an error.
                atexit.register(_close, weakref.ref(self))
            return self._mode

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit jobs."""
        yield from self._open().launch(orders)

    def keep_results(self, tickets: Sequence[Ticket]) -> Mapping[str, Any]:
        """Give the object refs of those that have one: Ray keeps what there are such of."""
        return self._open().refs([ticket.job_id for ticket in tickets])

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Say where jobs are."""
        return self._open().observe(tickets)

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have jobs end: calls are interrupted and programs get SIGTERM; what stays is killed."""
        return self._open().terminate(tickets)

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Return what came of jobs."""
        return self._open().collect(tickets)

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the native ids of those jobs that the cluster has."""
        return self._open().find(job_ids)

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """See to it that jobs do not start any more; return those that have."""
        return self._open().renounce(job_ids)

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read what a job has written: while it runs too."""
        stored = b""
        if self.is_durable:
            stored = read_range(self.job_directory(ticket.job_id) / stream, offset)
        return stored or self._open().logs(ticket, stream, offset)

    def listen(self) -> None:
        """Somebody waits: notifications are wanted."""
        self._open().listen()

    def status(self) -> BackendStatus:
        """Say how the cluster is, as far as this process is connected to it; it connects to nothing."""
        mode = self._mode
        message = "not connected yet: the first job connects" if mode is None else "connected"
        return BackendStatus(self.name(), self.version(), not self._closed, len(self.open_ids()), message)

    def close(self) -> None:
        """Let go of the cluster: jobs of the mode ``fast`` that have not ended are cancelled."""
        with self._lock:
            closing, self._closed = not self._closed, True
        if closing and self._mode is not None:
            self._mode.close()
            self._mode = None
        super().close()


def _close(backend: weakref.ref[RayBackend]) -> None:
    found = backend()
    if found is not None:
        found.close()

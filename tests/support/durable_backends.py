"""Durable backends for the tests of the ledger: clusters that remember their jobs, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from anyjob import (
    BackendConfiguration,
    BaseBackend,
    BaseJob,
    BaseProvider,
    Config,
    JobNotFoundError,
    JobStatus,
    Registry,
    Secret,
    Session,
    TaskBackend,
)
from anyjob.backend import Capabilities
from anyjob.orders import Answer, Observation, Options, Order, Ticket
from anyjob.outcome import Outcome


class ClusterOptions(Options, frozen=True):
    """Options of the type ``cluster``."""

    address: str = "here"
    partition: str = "debug"
    token: Secret | None = None


class Cluster:
    """What runs elsewhere: native ids, and where these jobs are."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobStatus] = {}
        self.ours: dict[str, str] = {}
        self.asked: list[str] = []
        self.values: dict[str, bytes] = {}


class ClusterBackend(TaskBackend):
    """A durable task backend; ``clusters`` has one for each address."""

    Options = ClusterOptions
    accepts = frozenset({"python", "command"})
    capabilities = Capabilities(durable=True, find=True)
    floor = 1e-6  # each question is asked
    ceiling = 0.05
    grace = 0.0
    clusters: ClassVar[dict[str, Cluster]] = {}

    @property
    def cluster(self) -> Cluster:
        """The one at the configured address."""
        return self.clusters.setdefault(self.options.address, Cluster())

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            native_id = f"{self.options.address}.{len(self.cluster.jobs)}"
            self.cluster.jobs[native_id] = JobStatus.QUEUED
            self.cluster.ours[order.job_id] = native_id
            yield order, native_id

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        self.cluster.asked += [ticket.native_id for ticket in tickets]
        jobs = self.cluster.jobs
        return {t.job_id: Observation(jobs[t.native_id]) for t in tickets if t.native_id in jobs}

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        for ticket in tickets:
            self.cluster.jobs[ticket.native_id] = JobStatus.CANCELLED
        return {ticket.job_id: True for ticket in tickets}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        values = self.cluster.values
        return {
            ticket.job_id: Outcome(status=JobStatus.DONE, value=values[ticket.native_id])
            for ticket in tickets
            if ticket.native_id in values
        }

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        return {job_id: self.cluster.ours[job_id] for job_id in job_ids if job_id in self.cluster.ours}


class DeviceJob(BaseJob):
    """A plain job: its device knows its state."""

    def submit(self) -> None:
        pass

    def result(self) -> str:
        return f"counts of {self._job_id}"

    def cancel(self) -> bool:
        return False

    def status(self) -> JobStatus:
        return self._backend.jobs[self._job_id]  # type: ignore[no-any-return]


class Device(BaseBackend):
    """A plain backend that finds its jobs again."""

    devices: ClassVar[dict[str, dict[str, JobStatus]]] = {}

    @property
    def jobs(self) -> dict[str, JobStatus]:
        """What the device of this name runs, whoever asks."""
        return self.devices.setdefault(getattr(self._configuration, "device", self.name()), {})

    def run(self, work: Any = None) -> DeviceJob:
        job_id = f"dev-{len(self.jobs)}"
        self.jobs[job_id] = JobStatus.RUNNING
        return DeviceJob(self, job_id)

    def retrieve_job(self, job_id: str) -> DeviceJob:
        if job_id not in self.jobs:
            raise JobNotFoundError(f"device {self.name()!r} has no job {job_id!r}")
        return DeviceJob(self, job_id)


class ForgetfulDevice(Device):
    """A plain backend that does not find its jobs again."""

    retrieve_job = BaseBackend.retrieve_job


class Account(BaseProvider):
    """Offers two devices; takes any options."""

    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        return [Device(BackendConfiguration(each), self) for each in ("fez", "kyiv") if name in (None, each)]


def new_session(state: Path, config: Mapping[str, Any] | None = None, *plugins: object) -> Session:
    """Make a session as another process would have it, with everything registered."""
    registry = Registry()
    registry.register_backend("cluster", ClusterBackend)
    registry.register_backend("device", Device)
    registry.register_backend("forgetful", ForgetfulDevice)
    registry.register_provider("account", Account)
    for plugin in plugins:
        registry.hooks.register(plugin)
    return Session(Config.from_dict(dict(config or {})), registry, state=state)

"""What the two modes have in common: how orders become tasks, and how a mode is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjob.orders import Answer, Observation, Order, Rejected, Ticket
from anyjob.specs import Outcome, Resources
from anyjob.status import JobStatus
from anyjob_ray import cluster
from anyjob_ray.needs import asked, plan, refusal
from anyjob_ray.payload import Packer
from anyjob_ray.reading import read_running

STATES = {
    "QUEUED": Observation(JobStatus.QUEUED),
    "RUNNING": Observation(JobStatus.RUNNING),
    "ENDED": Observation(JobStatus.DONE),  # what came of it is asked for next, and has the word
}


class Mode(ABC):
    """A way to run jobs on a cluster: the methods of a task backend, once the backend is connected."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.options = backend.options
        self.ray = cluster.connect(self.options, backend.name())
        self.apart = not cluster.is_by_client(self.ray)

    @abstractmethod
    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit jobs."""

    @abstractmethod
    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Say where jobs are."""

    @abstractmethod
    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have jobs end."""

    @abstractmethod
    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Return what came of jobs."""

    @abstractmethod
    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read what a job has written."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what this process holds."""

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the native ids of those jobs that are there."""
        return {}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """See to it that jobs do not start any more; return those that have."""
        return {}

    def listen(self) -> None:
        """Somebody waits."""

    def read(self, place: tuple[Any, ...], stream: str, offset: int) -> bytes:
        """Read what a job has written so far, from the files of its worker."""
        cluster.check(self.ray, self.options, self.backend.name())
        return read_running(self.ray, place, stream, offset, self.options.patience)

    def packer(self, board: str) -> Packer:
        """Return what packs the orders of one launch.

        Args:
            board: the name of the actor that is told of jobs that run.
        """
        options = self.options
        return Packer(options.namespace, board, grace=options.grace, apart=self.apart)

    def sorted_out(
        self, orders: Sequence[Order]
    ) -> tuple[list[Order], dict[str, Any], list[tuple[Order, Rejected]]]:
        """Return the orders that can run, Ray's options for them, and those that cannot.

        The orders of one launch share what they need.
        """
        resources, job = orders[0].resources, orders[0].options
        made = plan(resources, job, self.options, environment=self.per_task)
        why = self._refusal(resources, made)
        if why:
            return [], made, [(order, Rejected(why)) for order in orders]
        return list(orders), made, []

    @property
    def per_task(self) -> bool:
        """Whether the ``runtime_env`` goes with each task."""
        return True

    def _refusal(self, resources: Resources, made: Mapping[str, Any]) -> str:
        wanted = asked(made)
        several = resources.nodes is not None and resources.nodes > 1
        if not several and (self.options.autoscales or wanted in ({}, {"CPU": 1})):
            return ""
        return refusal(resources, wanted, [] if several else self.ray.nodes())

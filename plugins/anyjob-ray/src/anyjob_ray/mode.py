"""What the two modes have in common: how orders become tasks, and how a mode is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjob.orders import Answer, Observation, Order, Rejected, Ticket
from anyjob.specs import Outcome, Resources
from anyjob.status import JobStatus
from anyjob_ray import cluster
from anyjob_ray.end_listener import EndListener
from anyjob_ray.nodes import asked
from anyjob_ray.output import read_running
from anyjob_ray.payload import Packer
from anyjob_ray.submission import Launch
from anyjob_ray.task_options import plan, refusal

FEW = 8
"""Jobs of one launch up to which they are few."""
STATES = {
    "QUEUED": Observation(JobStatus.QUEUED),
    "RUNNING": Observation(JobStatus.RUNNING),
    "ENDED": Observation(JobStatus.DONE),  # what came of it is asked for next, and has the word
}


def is_few(orders: Sequence[Order]) -> bool:
    """Whether the end of each of these is to be heard of as soon as can be."""
    return len(orders) <= FEW


class Mode(ABC):
    """A way to run jobs on a cluster: the methods of a task backend, once the backend is connected."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.options = backend.options
        self.ray = cluster.connect(self.options, backend.name())
        self.apart = not cluster.is_by_client(self.ray)
        self._ear = self._open_ear()

    def _open_ear(self) -> EndListener | None:
        """Listen to workers, if they can reach this process: not where Ray's client stands between."""
        if not (self.apart and self.options.direct):
            return None
        try:
            return EndListener(self.ray.util.get_node_ip_address(), self.hear)
        except OSError:  # the address is not one of this machine's own: of a container, say
            return None

    @abstractmethod
    def hear(self, job_id: str, said: bytes) -> None:
        """A worker has said itself what came of a job; Ray says it, too, and later."""

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

    def close(self) -> None:
        """Let go of what this process holds."""
        if self._ear is not None:
            self._ear.close()

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

    def packer(self, board: str, orders: Sequence[Order]) -> Packer:
        """Return what packs the orders of one launch.

        Args:
            board: the name of the actor that is told of jobs that run.
            orders: all of them. Of many we hear by Ray, which tells many at a time.
        """
        options = self.options
        ear = self._ear.address if self._ear is not None and is_few(orders) else None
        return Packer(options.namespace, board, grace=options.grace, apart=self.apart, ear=ear)

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

    def together(self, orders: Sequence[Order], plan: Mapping[str, Any]) -> Launch | None:
        """Return what the jobs of one launch are told by if short ones may share a task; None: they may not.

        They may not where Ray may run a task again, nor where the cluster grows by the tasks that wait.
        """
        aim = self.options.series
        alone = is_few(orders) or plan["max_retries"] > 0 or self.options.autoscales or not aim
        return None if alone else (orders[0].job_id, aim)

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

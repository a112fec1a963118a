"""What the two modes have in common: how orders become tasks, and how a mode is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjob import JobStatus, Observation, Order, Outcome, Rejected, Resources, Ticket
from anyjob.sdk import Answer
from anyjob_ray import connection
from anyjob_ray.job_logs import read_job_log
from anyjob_ray.modes.notification_listener import NotificationListener
from anyjob_ray.payload import Packer
from anyjob_ray.task_options import task_options, why_infeasible
from anyjob_ray.tasks.batch_submitter import Launch
from anyjob_ray.tasks.nodes import resource_demand

FEW = 8
"""Jobs of one launch up to which they are few."""
STATUS = {
    "QUEUED": JobStatus.QUEUED,
    "RUNNING": JobStatus.RUNNING,
    "ENDED": JobStatus.DONE,  # what came of it is asked for next, and has the word
}
"""By the states of `anyjob_ray.tasks.task.Task`."""


def observation(state: str) -> Observation:
    """Return what is said of a job, by the `state_in_words` of its `anyjob_ray.tasks.task.Task`."""
    state, _, message = state.partition(" ")
    return Observation(STATUS[state], message=message)


def are_few(orders: Sequence[Order]) -> bool:
    """Whether the end of each of these is to be known as soon as can be."""
    return len(orders) <= FEW


class Mode(ABC):
    """A way to run jobs on a cluster: the methods of a task backend, once the backend is connected."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.options = backend.options
        self.ray = connection.connect(self.options, backend.name())
        self._is_direct = not connection.uses_ray_client(self.ray)
        self._listener = self._make_listener()

    def _make_listener(self) -> NotificationListener | None:
        """Listen to workers, if they can reach this process: not where Ray's client stands between."""
        if not (self._is_direct and self.options.direct):
            return None
        try:
            return NotificationListener(self.ray.util.get_node_ip_address(), self.on_notification)
        except OSError:  # the address is not one of this machine's own: of a container, say
            return None

    @abstractmethod
    def on_notification(self, job_id: str, outcome: bytes) -> None:
        """A worker has told itself what came of a job; Ray tells it, too, and later."""

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
    def refs(self, job_ids: Sequence[str]) -> Mapping[str, Any]:
        """Return the object refs of those of these jobs whose results other jobs can be given by Ray."""

    def close(self) -> None:
        """Let go of what this process holds."""
        if self._listener is not None:
            self._listener.close()

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the native ids of those jobs that are there."""
        return {}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """See to it that jobs do not start any more; return those that have."""
        return {}

    def listen(self) -> None:
        """Somebody waits."""

    def read_log(self, location: Sequence[Any], stream: str, offset: int) -> bytes:
        """Read what a job has written so far, from the log files of its worker."""
        connection.check_alive(self.ray, self.options, self.backend.name())
        return read_job_log(self.ray, location, stream, offset, self.options.timeout)

    def packer(self, event_actor: str, orders: Sequence[Order]) -> Packer:
        """Return what packs the orders of one launch.

        Args:
            event_actor: the name of the actor that is told of jobs that run.
            orders: all of them. Of many we hear by Ray, which tells many at a time.
        """
        options = self.options
        is_wanted = are_few(orders) and not any(order.kept for order in orders)  # those are links of a chain
        notify = self._listener.address if self._listener is not None and is_wanted else None
        return Packer(
            options.namespace,
            event_actor,
            grace=options.grace,
            out_of_band=self._is_direct,
            notify=notify,
        )

    def feasible(
        self, orders: Sequence[Order]
    ) -> tuple[list[Order], dict[str, Any], list[tuple[Order, Rejected]]]:
        """Return the orders that can run, the options of their tasks, and the orders that cannot.

        The orders of one launch share what they need.
        """
        resources, job = orders[0].resources, orders[0].options
        made = task_options(resources, job, self.options, with_runtime_env=self.sends_runtime_env)
        why = self._why_infeasible(resources, made)
        if why:
            return [], made, [(order, Rejected(why)) for order in orders]
        return list(orders), made, []

    def batched_launch(self, orders: Sequence[Order], task_options: Mapping[str, Any]) -> Launch | None:
        """Return the launch that these orders are, if short ones may share a task; None: they may not.

        They may not where Ray may run a task again, nor where the cluster grows by the tasks that wait.
        """
        duration = self.options.batch_duration
        is_retriable = task_options["max_retries"] > 0
        if are_few(orders) or is_retriable or self.options.autoscales or not duration:
            return None
        return orders[0].job_id, duration

    @property
    def sends_runtime_env(self) -> bool:
        """Whether the ``runtime_env`` goes with each task."""
        return True

    def _why_infeasible(self, resources: Resources, task_options: Mapping[str, Any]) -> str:
        demand = resource_demand(task_options)
        several = resources.nodes is not None and resources.nodes > 1
        if not several and (self.options.autoscales or demand in ({}, {"CPU": 1})):
            return ""
        return why_infeasible(resources, demand, [] if several else self.ray.nodes())

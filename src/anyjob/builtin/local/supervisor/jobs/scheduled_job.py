"""A job as the supervisor schedules it: what it takes, and what is to become of it if it is lost."""

from __future__ import annotations

from anyjob.builtin.local.supervisor.jobs.bulks import Bulk
from anyjob.resources import total_cpus


class ScheduledJob:
    """A job that takes slots, or is to take them next."""

    __slots__ = (
        "attempt",
        "bulk",
        "demand",
        "depth",
        "devices",
        "is_call",
        "job_id",
        "resources",
        "restartable",
        "slots",
    )

    def __init__(self, job_id: str, attempt: int, number: int, bulk: Bulk) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.bulk = number
        self.depth = 0  # of jobs that run still, it was submitted by one of which this is the number
        self.is_call = bulk.is_call
        self.resources = bulk.resources
        self.restartable = bulk.resources.restartable
        self.slots = total_cpus(bulk.resources)
        self.demand = bulk.demand
        self.devices: tuple[str, ...] = ()  # the GPUs that it was given

"""What a configuration, and one job, may say to a backend of type ``ray``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from anyjob import Options

Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
LOCAL = "local"
"""The address that stands for a cluster of this process's own."""


class RayOptions(Options, frozen=True):
    """Options of the type ``ray``.

    Args:
        address: ``auto`` (the cluster that this machine belongs to), ``host:port`` (the same, named),
            ``ray://host:port`` (a cluster elsewhere; needs ``ray[client]``), or ``local``: a cluster of
            this process's own, which ends with it.
        mode: ``fast``: jobs are Ray tasks of this process, and end with it; ``durable``: a detached
            actor in the cluster owns them, and they outlive this process.
        namespace: the Ray namespace that the detached actor lives in; jobs of two namespaces do not
            meet.
        runtime_env: Ray's ``runtime_env`` for the jobs: packages, variables, directories.
        grace: seconds that a job has to clean up when it is cancelled or its walltime is over; then it is
            killed with its worker process. A program is killed after half of that.
        timeout: seconds within which the cluster must answer; longer, and it is taken to be away.
        batch_duration: seconds that jobs of one launch which turn out to be short may take together, run by
            one task one after the other; 0: each job is a task of its own.
        direct: a worker tells this process of the end of a job itself, by a datagram (UDP), ahead of Ray;
            one that is not let through is done without. Never so with ``ray://``.
        autoscales: the cluster grows: a job that needs more than any node has waits, and is not
            refused.
    """

    address: str = "auto"
    mode: Literal["fast", "durable"] = "fast"
    namespace: str = "anyjob"
    runtime_env: dict[str, Any] = {}
    grace: Seconds = 10.0
    timeout: Seconds = 20.0
    batch_duration: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.02
    direct: bool = True
    autoscales: bool = False

    def __post_init__(self) -> None:
        if self.mode == "durable" and self.address == LOCAL:
            raise ValueError(
                'mode "durable" makes no sense with address "local", a cluster that ends with this process: '
                "start one by `ray start --head`, and say its address"
            )
        if not self.address:
            raise ValueError('address is empty: give "auto", "local", "host:port" or "ray://host:port"')


class RayJobOptions(Options, frozen=True):
    """Options of one job: ``run(…, options={"ray": {…}})``.

    Args:
        resources: custom resources of the cluster that the job takes, by name.
        max_retries: how often Ray may run it once more when its worker has died; by default never, and
            3 times where the job is restartable.
    """

    resources: dict[str, float] = {}
    max_retries: Annotated[int, msgspec.Meta(ge=0)] | None = None

"""The type ``psij``: the batch schedulers that PSI/J has executors for."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any

import msgspec

from anyjob import BackendError
from anyjob.sdk import BatchBackend, BatchJobOptions, Dialect, cluster_options
from anyjob_psij.dialect import SCHEDULERS, ExecutorDialect

ELSEWHERE = {
    "anyjob": "that is anyjob itself",
    "flux": "for Flux there is the plugin anyjob-flux",
    "local": "this machine is the type `local`",
}
"""Executors that know of no programs of a scheduler's, and the way out."""
NEVER = 10**9
"""Seconds until PSI/J's own poll of what was submitted by it: nothing is."""


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class PsijJobOptions(BatchJobOptions, frozen=True):
    """What one job may be told: ``options={"psij": {"queue": "long"}}``.

    Args:
        queue: the queue, or partition.
        account: what is charged.
        reservation: the id of a reservation.
        attributes: PSI/J's custom attributes.
    """

    queue: Annotated[str | None, _about("the queue, or partition")] = None
    account: Annotated[str | None, _about("what is charged")] = None
    reservation: Annotated[str | None, _about("the id of a reservation")] = None
    attributes: Annotated[
        dict[str, str | int | float | bool],
        _about('PSI/J\'s custom attributes: {"lsf.core_isolation" = 0}'),
    ] = {}

    def check(self) -> None:
        """Refuse attributes that would be more than one line of a script."""
        for name, value in self.attributes.items():
            if not f"{name}{value}".isprintable():
                raise ValueError(
                    f"attributes: {name!r} holds a line break or another control character: refused"
                )
            if "." not in name:
                raise ValueError(
                    f"attributes: {name!r} names no scheduler: PSI/J takes `slurm.{name}`, `lsf.{name}` …"
                )


PsijOptions = cluster_options(
    PsijJobOptions,
    ("executor", Annotated[str, _about("the executor of PSI/J's: slurm, lsf, cobalt, pbs, pbs_classic")]),
    (
        "job_variable",
        Annotated[str, _about("the variable that tells a job its id, where the executor is not PSI/J's own")],
        "",
    ),
)


class PsijBackend(BatchBackend):
    """Type ``psij``: a batch scheduler, by the executor that PSI/J has for it.

    The executor says which programs submit, list and end jobs, and reads what they print; how they are run,
    and what came of the work, is as on every batch scheduler. The compute nodes need bash and Python 3.8, and
    neither anyjob nor PSI/J.
    """

    JobOptions = PsijJobOptions
    Options = PsijOptions

    def make_dialect(self) -> Dialect:
        """Return the words of the executor.

        Raises:
            BackendError: PSI/J has no such executor, or it is not one for a batch scheduler.
        """
        name = self.options.executor
        return ExecutorDialect(name, _executor(name), self.options.job_variable)


def _executor(name: str) -> Any:
    """Return an executor; its thread, which polls for what is submitted by it, sleeps."""
    handler = signal.getsignal(signal.SIGCHLD)
    from psij import JobExecutor
    from psij.executors.batch.batch_scheduler_executor import (
        BatchSchedulerExecutor,
        BatchSchedulerExecutorConfig,
    )

    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGCHLD, handler)  # importing PSI/J has taken it, for processes that it has not
    config = BatchSchedulerExecutorConfig(queue_polling_interval=NEVER, initial_queue_polling_delay=NEVER)
    known = ", ".join(sorted(SCHEDULERS))
    refusal = f"executor {name!r} speaks to no batch scheduler by its programs, as PSI/J's {known} do"
    if name in ELSEWHERE:
        raise BackendError(f"{refusal}: {ELSEWHERE[name]}")
    try:
        found = JobExecutor.get_instance(name, config=config)
    except ValueError as error:  # PSI/J's words have the names that there are
        raise BackendError(f"executor {name!r}: PSI/J says: {error}") from error
    if not isinstance(found, BatchSchedulerExecutor):
        raise BackendError(refusal)
    return found

"""The type ``inline``: work in the caller's own thread, while it submits."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from anyjob.backend import Capabilities
from anyjob.builtin.pool import CallLoader, PoolBackend
from anyjob.builtin.pool_job import PoolJob
from anyjob.orders import Answer, Order
from anyjob.outcome import LocalException
from anyjob.standalone import runner


class InlineBackend(PoolBackend):
    """Type ``inline``: work runs in the caller's thread before ``run`` returns.

    A breakpoint stops where it should, and what a call prints is seen at once. What it raises is kept
    for ``result()``, as everywhere; Ctrl-C cancels it, and interrupts the caller.
    """

    runs_in_caller = True
    capabilities = Capabilities(
        shared_files=True,
        logs=True,
        notifies=True,
        cancel_running=False,
        walltime=False,
        output_files=True,
    )

    @property
    def cpus(self) -> int:
        """How many cores a job may ask for: it runs alone, and has all of them."""
        return os.cpu_count() or 1

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Run each in its turn."""
        self._check_open()
        orders = yield from self._refuse(orders)
        for job in self._make_jobs(orders):
            self._jobs[job.order.job_id] = job
            yield job.order, job.order.job_id
            try:
                self._run_job(job)
            finally:
                self._notify_end(job)

    def _waits_here(self, job: PoolJob, wait: float) -> bool:
        time.sleep(wait)
        return True

    def _perform(self, load: CallLoader) -> dict[str, Any]:
        return runner.perform(load, passes=KeyboardInterrupt, keep=LocalException)

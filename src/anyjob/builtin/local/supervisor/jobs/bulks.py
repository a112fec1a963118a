"""What the jobs of a bulk have in common: read from the ledger, and kept for those that were last used."""

from __future__ import annotations

import copy
import os
from collections import OrderedDict

from anyjob.builtin.local.supervisor.jobs.capacity import Device, demand_of
from anyjob.execution.next_attempt import grown
from anyjob.ledger.encoding import Context, decode_resources
from anyjob.ledger.store import Ledger
from anyjob.resources import Resources
from anyjob.spool.environment_file import OWN_SUFFIX

KEPT = 32
"""Bulks that are remembered."""


class Bulk:
    """What the jobs of a bulk have in common."""

    def __init__(self, context: Context, native: str, shared: bytes | None) -> None:
        self.context = context
        self.is_call = native == "python"
        self.shared = shared
        self.give(decode_resources(context.resources))
        self.has_own_variables = context.environment.endswith(OWN_SUFFIX)

    def give(self, resources: Resources) -> None:
        """Have these resources."""
        self.resources = resources
        self.demand = demand_of(resources, tuple(Device(*device) for device in self.context.gpus))


class Bulks:
    """The bulks whose jobs were last started, and the environments that the jobs of bulks are kept."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: OrderedDict[int, Bulk] = OrderedDict()
        self._open: dict[int, int] = {}

    def get(self, number: int) -> Bulk:
        """Return the bulk of this number."""
        bulk = self._known.get(number)
        if bulk is None:
            bulk = self._known[number] = Bulk(*self._ledger.bulk(number))
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(number)
        return bulk

    def of_attempt(self, number: int, job_id: str, attempt: int) -> Bulk:
        """Return what a job has in common with the others of its bulk, with what this attempt of it gets."""
        bulk = self.get(number)
        if attempt == 1 or bulk.resources.retries is None or not bulk.resources.retries.grow:
            return bulk
        larger = copy.copy(bulk)
        larger.give(grown(bulk.resources, self._ledger.attempts.retried(job_id)))
        return larger

    def jobs_ended(self, number: int, count: int) -> None:
        """Jobs of a bulk have ended, and the ledger knows. The last ones take the environment along."""
        left = self._open.pop(number, count) - count
        if left <= 0:  # or these are the first of its jobs that we see the end of
            left = self._ledger.queue.open_in_bulk(number)
        if left:
            self._open[number] = left
            return
        path = self.get(number).context.environment
        if path:
            try:
                os.unlink(path)
            except FileNotFoundError:
                return

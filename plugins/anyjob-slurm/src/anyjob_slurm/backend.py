"""The type ``slurm``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob.backend import BackendStatus, Capabilities
from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.execution import spool
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket, Unsure
from anyjob.specs import Outcome
from anyjob.taskbackend import TaskBackend
from anyjob_slurm import parsing, sbatch, submission
from anyjob_slurm.follower import Follower
from anyjob_slurm.options import SlurmJobOptions, SlurmOptions
from anyjob_slurm.programs import AWAY, UNSURE, Programs, TimedOut
from anyjob_slurm.queue import Queue

SMALL = 1000
"""Tasks that an array may have on every cluster that has not changed MaxArraySize."""
CANCELLED_AT_ONCE = 500
"""Jobs or arrays that one ``scancel`` is told of, at most."""
FRESH = 1.0
"""Seconds for which an answer of the controller is as good as a new one, to one who asks now."""
TOO_LARGE = "Invalid job array specification"


class SlurmBackend(TaskBackend):
    """Type ``slurm``: a Slurm cluster, by its programs.

    Bulks become job arrays. What the work is, and what came of it, passes through a directory that the
    compute nodes see, too (option ``spool``); there they need Python, and not anyjob.
    """

    Options = SlurmOptions
    JobOptions = SlurmJobOptions
    accepts = frozenset({"command", "python"})
    capabilities = Capabilities(durable=True, shared_files=True, find=True, logs=True)
    floor = 0.2  # the spool is looked at as often as that; Slurm is not: see `queue`
    ceiling = 3.0
    grace = 120.0

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or SlurmOptions())
        given = self.options
        self._programs = Programs(given.programs, given.conf, given.timeout)
        self._queue = Queue.of(self._programs)
        self._follower = Follower(self._queue, given.patience)
        self._array_limit: int | None = None
        self._swept = False

    def status(self) -> BackendStatus:
        """Ask the controller; ``pending_jobs`` are this user's that wait."""
        try:
            self._queue.refresh(age=FRESH)
        except BackendError as error:
            return BackendStatus(self.name(), self.version(), False, 0, str(error))
        waiting = [row for row in self._queue.listing.rows if row.state == "PENDING"]
        pending = sum(sum(map(len, row.tasks)) if row.tasks else 1 for row in waiting)
        return BackendStatus(self.name(), self.version(), True, pending)

    # --- handing over -------------------------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Hand orders over, as one array or as few as may be."""
        waiting = list(orders)
        while waiting:
            size = self._size(len(waiting))
            part, waiting = waiting[:size], waiting[size:]
            yield from self._hand_over(part)

    def _size(self, wanted: int) -> int:
        """Return how many tasks the next array may have."""
        if wanted > SMALL and self._array_limit is None:
            self._ask_array_limit()
        return wanted if self._array_limit is None else max(1, min(wanted, self._array_limit))

    def _ask_array_limit(self) -> None:
        told = self._programs.ask("scontrol", ["show", "config"])
        self._array_limit = parsing.array_limit(told) or 1

    def _hand_over(self, orders: list[Order]) -> Iterator[tuple[Order, Answer]]:
        first = orders[0]
        options: SlurmJobOptions = first.options
        root = self.spool_root
        if not self._swept:
            self._swept = True
            submission.sweep(root)
        landing = submission.landing_path(root)
        place = submission.place(root, orders, sbatch.for_job(os.environb, options.export))
        many = len(orders) > 1
        arguments = sbatch.arguments(
            options,
            first.resources,
            name=sbatch.job_name(first.resources.name, first.job_id),
            log=place / ("log-%a" if many else "log-0"),
            tasks=len(orders) if many else None,
        )
        only_commands = all(order.spec.__struct_config__.tag == "command" for order in orders)
        variables = {
            **sbatch.for_sbatch(os.environ, self.options.conf),
            "ANYJOB_SUBMISSION": str(place),
            "ANYJOB_PYTHON": options.python or sys.executable,
            "ANYJOB_FLAGS": "-S -E" if only_commands else "",
            "ANYJOB_LANDING": str(landing),
        }
        try:
            done = self._programs.run(
                "sbatch", arguments, stdin=sbatch.script(options.setup).encode(), env=variables
            )
        except TimedOut:
            for order in orders:
                yield order, Unsure()
            return
        except BaseException:
            submission.remove(place)
            raise
        job = parsing.submitted(done.out) if done.code == 0 else None
        if job is not None:
            self._queue.launched(job)
            for number, order in enumerate(orders):
                yield order, f"{job}_{number}" if many else job
        elif done.code == 0 or any(words in done.err for words in UNSURE):
            for order in orders:
                yield order, Unsure()
        else:
            submission.remove(place)
            yield from self._refused(orders, done.words)

    def _refused(self, orders: list[Order], words: str) -> Iterator[tuple[Order, Answer]]:
        if any(each in words for each in AWAY):
            raise BackendUnavailableError(f"Slurm's `sbatch` has failed: {words}")
        if TOO_LARGE in words and len(orders) > 1 and self._array_limit is None:
            self._ask_array_limit()
            for order in orders:  # they are placed anew
                if order.spool is not None:
                    (order.spool / "work.pkl").unlink()
            size = self._size(len(orders))
            for start in range(0, len(orders), size):
                yield from self._hand_over(orders[start : start + size])
            return
        for order in orders:
            if order.spool is not None:
                spool.remove(self.spool_root, order.job_id)
            yield order, Rejected(words)

    # --- asking -------------------------------------------------------------------------------

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Read the journals in the spool, and ask Slurm where that does not tell."""
        return self._follower.observe(tickets)

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Read the spool; of a job that has left nothing there, Slurm's word counts."""
        return self._follower.collect(tickets, super().collect)

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have ``scancel`` end them: TERM, and KILL after the cluster's KillWait."""
        refused: set[str] = set()
        ids = parsing.compressed(ticket.native_id for ticket in tickets)
        for part in parsing.chunks(ids, CANCELLED_AT_ONCE):
            done = self._programs.run("scancel", part)
            if done.code and any(words in done.err for words in AWAY + UNSURE):
                raise BackendUnavailableError(f"Slurm's `scancel` has failed: {done.words}")
            refused |= parsing.refused_ids(done.err)
        accepted = [ticket for ticket in tickets if ticket.native_id not in refused]
        self._follower.cancelled(accepted)
        return {ticket.job_id: ticket.native_id not in refused for ticket in tickets}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Look for our ids: in the spools that have been claimed, then in the names of Slurm's jobs."""
        found: dict[str, str] = {}
        sought: dict[str, tuple[str, submission.Membership]] = {}
        for job_id in job_ids:
            directory = spool.path_of(self.spool_root, job_id)
            submission.refresh(directory)
            holder = submission.holder(directory)
            member = submission.membership(directory)
            if holder not in (None, submission.NOBODY):
                found[job_id] = str(holder)
            elif member is not None:
                sought[job_id] = member.submission.name, member
        if sought:
            named = self._named({name for name, _ in sought.values()})
            for job_id, (name, member) in sought.items():
                if name in named:
                    found[job_id] = member.native_id(named[name])
        return found

    def _named(self, names: set[str]) -> dict[str, str]:
        """Return Slurm's ids of submissions, by the ids of ours at the end of their names."""
        self._queue.refresh(age=FRESH)
        known = {parsing.our_id(row.name): row.job for row in self._queue.listing.rows}
        named = {name: known[name] for name in names if name in known}
        missing = names - named.keys()
        if missing:
            oldest = min(map(self._made, missing), default=time.time())
            history = {parsing.our_id(row.name): row.job for row in self._queue.named_since(oldest)}
            named |= {name: history[name] for name in missing if name in history}
        return named

    def _made(self, name: str) -> float:
        with suppress(OSError):
            return (self.spool_root / "submissions" / name / "jobs").stat().st_mtime
        return time.time()

    def renounce(self, job_ids: Iterable[str]) -> Mapping[str, str]:
        """See to it that jobs which cannot be found do not start any more."""
        held = {job_id: submission.withhold(spool.path_of(self.spool_root, job_id)) for job_id in job_ids}
        return {job_id: native_id for job_id, native_id in held.items() if native_id is not None}

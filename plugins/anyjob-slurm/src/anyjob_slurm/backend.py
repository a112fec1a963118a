"""The type ``slurm``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob import (
    BackendError,
    BackendStatus,
    BackendUnavailableError,
    Capabilities,
    Observation,
    Order,
    Outcome,
    Rejected,
    TaskBackend,
    Ticket,
    Unsure,
)
from anyjob.sdk import Answer, find_interpreter
from anyjob_slurm import parsing, sbatch, submission
from anyjob_slurm.follower import Follower
from anyjob_slurm.options import SlurmJobOptions, SlurmOptions
from anyjob_slurm.programs import UNCERTAIN, UNREACHABLE, Programs, TimedOut
from anyjob_slurm.queue import Queue

SAFE_ARRAY_SIZE = 1000
"""Tasks that an array may have on every cluster that has not changed MaxArraySize."""
MAX_CANCELLED = 500
"""Jobs or arrays that one ``scancel`` is told of, at most."""
MAX_AGE = 1.0
"""Seconds for which an answer of the controller is as good as a new one, to one who asks now."""
ARRAY_TOO_LARGE = "Invalid job array specification"


class SlurmBackend(TaskBackend):
    """Type ``slurm``: a Slurm cluster, by its programs.

    Bulks become job arrays. What the work is, and what came of it, passes through a directory that the
    compute nodes see, too (option ``spool``); there they need Python, and not anyjob.
    """

    Options = SlurmOptions
    JobOptions = SlurmJobOptions
    accepts = frozenset({"command", "python"})
    capabilities = Capabilities(
        durable=True, shared_files=True, find=True, logs=True, call_environment=True, output_files=True
    )
    floor = 0.2  # the spool is looked at as often as that; Slurm is not: see `queue`
    ceiling = 3.0
    grace = 120.0
    relaunches = True
    finds_results = True

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or SlurmOptions())
        self._programs = Programs(self.options.programs, self.options.conf, self.options.timeout)
        self._queue = Queue.shared(self._programs)
        self._follower = Follower(self._queue, self.options.patience)
        self._array_limit: int | None = None
        self._swept = False

    def status(self) -> BackendStatus:
        """Ask the controller; ``pending_jobs`` are this user's that wait."""
        try:
            self._queue.refresh(age=MAX_AGE)
        except BackendError as error:
            return BackendStatus(self.name(), self.version(), False, 0, str(error))
        waiting = [row for row in self._queue.listing.rows if row.state == "PENDING"]
        pending = sum(sum(map(len, row.tasks)) if row.tasks else 1 for row in waiting)
        return BackendStatus(self.name(), self.version(), True, pending)

    # --- submission ---------------------------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit orders, as one array or as few as may be."""
        waiting = list(orders)
        while waiting:
            size = self._size(len(waiting))
            part, waiting = waiting[:size], waiting[size:]
            yield from self._submit_orders(part)

    def _size(self, wanted: int) -> int:
        """Return how many tasks the next array may have."""
        if wanted > SAFE_ARRAY_SIZE and self._array_limit is None:
            self._ask_array_limit()
        return wanted if self._array_limit is None else max(1, min(wanted, self._array_limit))

    def _ask_array_limit(self) -> None:
        output = self._programs.query("scontrol", ["show", "config"])
        self._array_limit = parsing.array_limit(output) or 1

    def _submit_orders(self, orders: list[Order]) -> Iterator[tuple[Order, Answer]]:
        first = orders[0]
        options: SlurmJobOptions = first.options
        root = self.spool_root
        if not self._swept:
            self._swept = True
            submission.remove_forgotten(root, self.job_directory)
        launcher = submission.launcher_path(root)
        directory = submission.write_submission(
            root, orders, sbatch.job_environment(os.environb, options.export)
        )
        many = len(orders) > 1
        arguments = sbatch.arguments(
            options,
            first.resources,
            name=sbatch.job_name(first.resources.name, directory.name),
            log=directory / ("log-%a" if many else "log-0"),
            tasks=len(orders) if many else None,
        )
        only_commands = all(order.spec.__struct_config__.tag == "command" for order in orders)
        variables = {
            **sbatch.sbatch_environment(os.environ, self.options.conf),
            "ANYJOB_SUBMISSION": str(directory),
            "ANYJOB_PYTHON": find_interpreter(options.python or ""),
            "ANYJOB_FLAGS": "-S -E" if only_commands else "",
            "ANYJOB_LAUNCHER": str(launcher),
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
            submission.remove(directory)
            raise
        job = parsing.submitted_job(done.stdout) if done.returncode == 0 else None
        if job is not None:
            self._queue.note_submission(job)
            for number, order in enumerate(orders):
                yield order, f"{job}_{number}" if many else job
        elif done.returncode == 0 or any(message in done.stderr for message in UNCERTAIN):
            for order in orders:
                yield order, Unsure()
        else:
            submission.remove(directory)
            yield from self._submit_failed(orders, done.message)

    def _submit_failed(self, orders: list[Order], message: str) -> Iterator[tuple[Order, Answer]]:
        if any(each in message for each in UNREACHABLE):
            raise BackendUnavailableError(f"Slurm's `sbatch` has failed: {message}")
        if ARRAY_TOO_LARGE in message and len(orders) > 1 and self._array_limit is None:
            self._ask_array_limit()
            for order in orders:  # they are written anew
                if order.spool is not None:
                    (order.spool / "work.pkl").unlink()
            size = self._size(len(orders))
            for start in range(0, len(orders), size):
                yield from self._submit_orders(orders[start : start + size])
            return
        for order in orders:
            if order.spool is not None:
                shutil.rmtree(order.spool, ignore_errors=True)
            yield order, Rejected(message)

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
        if not all(self._queue.was_submitted_here(ticket.native_id) for ticket in tickets):
            self._queue.refresh(age=MAX_AGE)
            others = self._follower.has_lost_its_id(tickets)
            if others:
                left = self.terminate([ticket for ticket in tickets if ticket.job_id not in others])
                return {**dict.fromkeys(others, False), **left}
        ids = parsing.condensed(ticket.native_id for ticket in tickets)
        for part in parsing.chunks(ids, MAX_CANCELLED):
            done = self._programs.run("scancel", part)
            if done.returncode and any(message in done.stderr for message in UNREACHABLE + UNCERTAIN):
                raise BackendUnavailableError(f"Slurm's `scancel` has failed: {done.message}")
            refused |= parsing.refused_ids(done.stderr)
        accepted = [ticket for ticket in tickets if ticket.native_id not in refused]
        self._follower.cancelled(accepted)
        return {ticket.job_id: ticket.native_id not in refused for ticket in tickets}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Look for our ids: in the spools that have been claimed, then in the names of Slurm's jobs."""
        found: dict[str, str] = {}
        sought: dict[str, tuple[str, submission.Membership]] = {}
        for job_id in job_ids:
            directory = self.job_directory(job_id)
            submission.refresh_directory(directory)
            native_id = submission.claimed_by(directory)
            member = submission.membership(directory)
            if native_id not in (None, submission.NOBODY):
                found[job_id] = str(native_id)
            elif member is not None:
                sought[job_id] = member.submission.name, member
        if sought:
            named = self._native_ids({name for name, _ in sought.values()})
            for job_id, (name, member) in sought.items():
                if name in named:
                    found[job_id] = member.native_id(named[name])
        return found

    def _native_ids(self, names: set[str]) -> dict[str, str]:
        """Return Slurm's ids of submissions, by the ids of ours at the end of their names."""
        self._queue.refresh(age=MAX_AGE)
        known = {parsing.job_id_in_name(row.name): row.job for row in self._queue.listing.rows}
        named = {name: known[name] for name in names if name in known}
        missing = names - named.keys()
        if missing:
            oldest = min(map(self._submitted_at, missing), default=time.time())
            history = {parsing.job_id_in_name(row.name): row.job for row in self._queue.history_since(oldest)}
            named |= {name: history[name] for name in missing if name in history}
        return named

    def _submitted_at(self, name: str) -> float:
        with suppress(OSError):
            return (self.spool_root / "submissions" / name / "jobs").stat().st_mtime
        return time.time()

    def renounce(self, job_ids: Iterable[str]) -> Mapping[str, str]:
        """See to it that jobs which cannot be found do not start any more."""
        held = {job_id: submission.claim_for_nobody(self.job_directory(job_id)) for job_id in job_ids}
        return {job_id: native_id for job_id, native_id in held.items() if native_id is not None}

"""The task backend that speaks a dialect."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from anyjob.backend import BackendStatus, Capabilities
from anyjob.batch.dialect import Dialect, Row, Submission
from anyjob.batch.files import claims, submission
from anyjob.batch.files.finding import memberships
from anyjob.batch.files.membership import Membership
from anyjob.batch.files.node_program import launcher_path, python_flags
from anyjob.batch.files.node_reports import refresh_directory
from anyjob.batch.files.work import remove_inputs
from anyjob.batch.follower import Follower
from anyjob.batch.guard import guarded
from anyjob.batch.job_arrays import JobArrays, pack_of, tasks_of
from anyjob.batch.options import BatchJobOptions, cluster_options
from anyjob.batch.programs import CompletedProgram, Programs, TimedOut, says
from anyjob.batch.queue import MAX_IDS, Queue, chunks, condensed
from anyjob.batch.script import in_common, job_environment, job_id_in_name, job_name, script
from anyjob.errors import BackendError, UnsupportedSpecError
from anyjob.execution.interpreter import find_interpreter
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket, Unsure
from anyjob.outcome import Outcome
from anyjob.spool.private_files import write_new
from anyjob.status import JobStatus
from anyjob.taskbackend import TaskBackend

MAX_AGE = 1.0
"""Seconds for which a listing is as good as a new one, to one who asks now."""


class BatchBackend(TaskBackend):
    """A batch scheduler, by its programs. A subclass names its ``dialect``, and its options.

    Bulks become arrays of jobs. What the work is, and what came of it, passes through a directory that the
    compute nodes see, too (option ``spool``); there they need bash and Python, and not anyjob.

    Args:
        configuration: what the backend was configured with.
        provider: what it comes from; None for one that a configuration names.
        options: its ``Options``.
    """

    JobOptions = BatchJobOptions
    Options = cluster_options(BatchJobOptions)
    dialect: ClassVar[Dialect] = Dialect()
    """The words of the scheduler."""
    accepts = frozenset({"command", "python"})
    capabilities = Capabilities(
        durable=True, shared_files=True, find=True, logs=True, call_environment=True, output_files=True
    )
    floor = 0.2  # the spool is looked at as often as that; the scheduler is not: see `queue`
    ceiling = 3.0
    grace = 120.0
    relaunches = True
    mixes_names = True
    finds_results = True
    tells_walltime = True

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or type(self).Options())
        self.words = guarded(self.make_dialect())
        self._programs = Programs(self.words, self.options)
        self._queue = Queue.shared(self._programs)
        self._follower = Follower(self._queue, self.options.patience, self._why_stuck)
        self._arrays = JobArrays(self.words, self._programs)
        self._swept = False
        self.requeues = bool(self.words.requeue)

    def make_dialect(self) -> Dialect:
        """Return the dialect of this backend, for one that depends on its options."""
        return self.dialect

    def status(self) -> BackendStatus:
        """List the jobs; ``pending_jobs`` are this user's that wait."""
        try:
            self._queue.refresh(age=MAX_AGE)
        except BackendError as error:
            return BackendStatus(self.name(), self.version(), False, 0, str(error))
        waiting = [row for row in self._queue.listing.rows if row.status is JobStatus.QUEUED]
        pending = sum(sum(map(len, row.tasks)) if row.tasks else 1 for row in waiting)
        return BackendStatus(self.name(), self.version(), True, pending)

    def listed(self, native_id: str) -> Row | None:
        """Have the scheduler list the jobs, and return what it says of one; None where that is nothing.

        Raises:
            BackendError: it does not answer, or not in a form that is known.
        """
        self._queue.refresh(age=0.0)
        return self._queue.listing.get(native_id)

    # --- submission ---------------------------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit orders, as one array or as few as may be."""
        waiting = list(orders)
        while waiting:
            size = self._arrays.next(waiting)
            part, waiting = waiting[:size], waiting[size:]
            yield from self._submit_orders(part)

    def _submit_orders(self, orders: list[Order]) -> Iterator[tuple[Order, Answer]]:
        root = self.spool_root
        if not self._swept:
            self._swept = True
            submission.remove_forgotten(root, self.job_directory)
        options = orders[0].options
        if self.options.submissions_per_minute is not None:
            self._queue.submissions.take(self.options.submissions_per_minute)
        environment = job_environment(self.words, os.environb, options.export)
        pack = pack_of(orders)
        directory = submission.write_submission(root, orders, environment, self.words, pack)
        try:
            command, text = self._command(orders, directory)
            variables = self._programs.submitting_environment(os.environ)
            done = self._programs.run(command, b"" if self.words.script_file else text, variables)
        except TimedOut:
            for order in orders:
                yield order, Unsure()
            return
        except ValueError as error:  # the dialect's: it cannot be asked for
            yield from self._reject(orders, directory, str(error))
            return
        except BaseException:
            submission.remove(directory)
            raise
        job = self._read_id(done)
        if job and not isinstance(job, str):
            yield from self._answer_each(orders, [each for each in job for _ in range(pack)], done)
        elif isinstance(job, str) and done.returncode == 0:
            self._queue.note_submission(job)
            is_array = tasks_of(orders, pack) is not None
            for number, order in enumerate(orders):
                task = self.words.first_task + number // pack if is_array else None
                yield order, self.words.id_of(job, task)
        elif done.returncode <= 0 or says(self.words.unsure, done):  # killed, it may have submitted before
            for order in orders:
                yield order, Unsure()
        elif says(self.words.too_large, done) and len(orders) > 1:
            _remove(orders, directory)  # they are written anew
            self._arrays.too_large(orders)
            yield from self.launch(orders)
        elif says(self.words.away + self.words.denied, done):
            submission.remove(directory)
            raise self._programs.error(done)
        else:
            yield from self._reject(orders, directory, self._programs.message(done))

    def _read_id(self, done: CompletedProgram) -> str | Sequence[str] | None:
        """Return what the scheduler calls what it has taken; None where that is not known.

        It has them then: they are found by their names, or lost, and not handed over once more.
        """
        try:
            job, why = self.words.submitted(done.stdout), "there is no id in it"
        except BackendError as error:
            job, why = None, str(error)
        if not job and done.returncode == 0:
            warnings.warn(
                f"`{done.name}` of {self.words.title} has submitted, and what it prints, "
                f"{done.stdout[:200]!r}, is not understood: {why}. The jobs are looked for by their names",
                RuntimeWarning,
                stacklevel=2,
            )
        return job

    def _answer_each(
        self, orders: list[Order], jobs: Sequence[str], done: CompletedProgram
    ) -> Iterator[tuple[Order, Answer]]:
        """Answer where each task has an id of its own; some may have been taken, and the others not."""
        for order, job in zip(orders, jobs, strict=False):
            self._queue.note_submission(job)
            yield order, job
        rest = orders[len(jobs) :]
        if done.returncode <= 0 or says(self.words.unsure + self.words.away, done):
            yield from ((order, Unsure()) for order in rest)
            return
        remove_inputs(rest)
        for order in rest:
            yield order, Rejected(self._programs.message(done))

    def _command(self, orders: list[Order], directory: Path) -> tuple[list[str], bytes]:
        first = orders[0]
        if first.options.pack > 1 and first.resources.on_walltime:
            raise ValueError("pack: one of several in an allocation cannot be started anew (`on_walltime`)")
        if first.options.throttle is not None and not self.words.throttles:
            raise ValueError(
                f"throttle: {self.words.title} cannot be told how many tasks of an array run at a time"
            )
        text = script(
            self.words,
            os.fsencode(directory),
            os.fsencode(launcher_path(self.spool_root)),
            find_interpreter(first.options.python or ""),
            python_flags(orders),
            first.options.setup,
        ).encode("utf-8", "surrogateescape")
        if self.words.script_file:
            write_new(directory / "script", text, mode=0o700)
        resources = in_common([order.resources for order in orders])
        what = Submission(
            name=job_name(resources.name, directory.name),
            tasks=tasks_of(orders, pack_of(orders)),
            resources=resources,
            options=first.options,
            script=directory / "script" if self.words.script_file else None,
            directory=directory,
            pack=min(pack_of(orders), len(orders)),
        )
        return self.words.submit(what), text

    def _reject(self, orders: list[Order], directory: Path, message: str) -> Iterator[tuple[Order, Answer]]:
        _remove(orders, directory)
        for order in orders:
            yield order, Rejected(message)

    # --- asking -------------------------------------------------------------------------------

    def limit(
        self, name: str = "", most: int | None = None, *, tags: Mapping[str, str] | None = None
    ) -> Mapping[str, int]:
        """Schedulers know no limit of all jobs of a name: one of the tasks of an array is an option.

        Raises:
            UnsupportedSpecError: always.
        """
        way_out = (
            f"; of the jobs of one bulk at most {most or 2} run at a time with "
            f'options={{"{self.type_name.partition("/")[0]}": {{"throttle": {most or 2}}}}}'
        )
        raise UnsupportedSpecError(
            f"backend {self.name()!r} cannot limit how many jobs of a name run at a time"
            + (way_out if self.words.throttles else "; `local` can")
        )

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Read the journals in the spool, and ask the scheduler where that does not tell."""
        found = self._follower.observe(tickets)
        stuck, self._follower.given_up = self._follower.given_up, []
        if stuck:
            with suppress(BackendError):  # they do not run, whether it has heard or not
                self._cancel(stuck)
        return found

    def _why_stuck(self, row: Row) -> str:
        return self._why_pending(row.job) or row.message

    def why_waiting(self, native_id: str) -> str:
        """Ask the scheduler why a job waits; empty where it does not say, or is not asked in this dialect."""
        return self._why_pending(self.words.split_id(native_id)[0])

    def _why_pending(self, job: str) -> str:
        command = self.words.why_pending(job)
        if command is not None:
            with suppress(BackendError):
                return self.words.pending_reason(self._programs.query(command))
        return ""

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Read the spool; of a job that has left nothing there, the scheduler's word counts."""
        return self._follower.collect(tickets, super().collect)

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have the scheduler end them."""
        if not all(self._queue.was_submitted_here(ticket.native_id) for ticket in tickets):
            self._queue.refresh(age=MAX_AGE)
            others = self._follower.has_lost_its_id(tickets)
            if others:
                left = self.terminate([ticket for ticket in tickets if ticket.job_id not in others])
                return {**dict.fromkeys(others, False), **left}
        packed = self._follower.packed(tickets)
        for ticket, member in packed:
            claims.cancel_packed(self.job_directory(ticket.job_id), member, self.words)
        singly = {ticket.job_id for ticket, _ in packed}
        refused = self._cancel([ticket.native_id for ticket in tickets if ticket.job_id not in singly])
        answers = {
            ticket.job_id: refused.isdisjoint((ticket.native_id, self.words.split_id(ticket.native_id)[0]))
            for ticket in tickets
        }
        accepted = [ticket for ticket in tickets if answers[ticket.job_id]]
        if self.words.may_miss_cancel:
            self._follower.hold_back(accepted)
        self._follower.cancelled(accepted)
        return answers

    def _cancel(self, native_ids: Iterable[str]) -> set[str]:
        """Cancel jobs; return the ids for which that was refused."""
        refused: set[str] = set()
        for part in chunks(condensed(self.words, native_ids), MAX_IDS):
            done = self._programs.run(self.words.cancel(part))
            # Whatever it ends with: Slurm's ends with the number of an error, which may be 0.
            if says(self.words.away + self.words.unsure + self.words.denied, done):
                raise self._programs.error(done)
            refused.update(self.words.cancelled(done.returncode, done.text))
        return refused

    # --- after a crash ------------------------------------------------------------------------

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Look for our ids: in the spools that have been claimed, then in the names of the jobs."""
        found: dict[str, str] = {}
        sought: dict[str, Membership] = {}
        for job_id, member in memberships(self.spool_root, job_ids, self.words).items():
            refresh_directory(member.claim.parent)
            native_id = claims.claimed_by(member, self.words)
            if native_id not in (None, claims.NOBODY):
                found[job_id] = str(native_id)
            elif job := submission.recorded_id(member.submission, self.words):
                found[job_id] = member.native_id(self.words, job)
            else:
                sought[job_id] = member
        if sought:
            named = self._native_ids({member.submission.name for member in sought.values()})
            for job_id, member in sought.items():
                jobs = named.get(member.submission.name, {})
                if job := jobs.get(None) or jobs.get(max(member.task, 0)):
                    found[job_id] = member.native_id(self.words, job)
        return found

    def _native_ids(self, names: set[str]) -> dict[str, dict[int | None, str]]:
        """Return the scheduler's ids of submissions, by the ids of ours at the end of their names.

        Those of each task, by its number, where it has one of its own.
        """
        self._queue.refresh(age=MAX_AGE)
        named = _by_our_id(self._queue.listing.rows, names)
        missing = names - named.keys()
        if missing:
            oldest = min(map(self._submitted_at, missing), default=time.time())
            named |= _by_our_id(self._queue.history_since(oldest), missing)
        return named

    def _submitted_at(self, name: str) -> float:
        with suppress(OSError):
            return (self.spool_root / "submissions" / name / "jobs").stat().st_mtime
        return time.time()

    def renounce(self, job_ids: Iterable[str]) -> Mapping[str, str]:
        """See to it that jobs which cannot be found do not start any more."""
        found = memberships(self.spool_root, job_ids, self.words)
        held = {job_id: claims.claim_for_nobody(member, self.words) for job_id, member in found.items()}
        return {job_id: native_id for job_id, native_id in held.items() if native_id is not None}


def _remove(orders: Iterable[Order], directory: Path) -> None:
    """Remove what was written of jobs that were not handed over."""
    submission.remove(directory)
    remove_inputs(orders)


def _by_our_id(rows: Iterable[Row], names: set[str]) -> dict[str, dict[int | None, str]]:
    known: dict[str, dict[int | None, str]] = {}
    for row in rows:
        name = job_id_in_name(row.name)
        if name in names:
            known.setdefault(name, {})[row.number] = row.job
    return known

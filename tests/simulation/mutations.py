"""Faults in our own code that the simulation has to find: each is put in, and seeds are run until one fails.

python tests/simulation/mutations.py           says after how many runs each was found
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from anyjob import taskbackend
from anyjob.builtin.local import connection
from anyjob.builtin.local.keeper import job_control, slots
from anyjob.builtin.local.keeper.launch import worker_process, zygote_pool
from anyjob.builtin.local.keeper.log import job_log, worker_log
from anyjob.builtin.local.keeper.processes import memory_watch
from anyjob.builtin.local.supervisor import ledger_writer, service
from anyjob.builtin.local.supervisor.jobs import outcomes
from anyjob.builtin.local.supervisor.keepers import dead_keeper, reconciliation
from anyjob.builtin.local.supervisor.scheduling import queue
from anyjob.builtin.local.zygote import worker
from anyjob.ledger import bulks, dependencies
from anyjob.status import JobStatus
from simulation.faults import Fault
from simulation.workload import ClientPlan, Plan
from simulation.world import World

ENOUGH = 600
"""Runs within which each has to be found."""


def tells_before_it_writes() -> Any:
    """The supervisor tells of an end before the ledger has it."""

    def write(self: Any) -> None:
        if self.is_pending:
            self._on_written([*self._ended], [*self._moved])
        real(self)

    real = ledger_writer.LedgerWriter.write
    return mock.patch.object(ledger_writer.LedgerWriter, "write", write)


def claims_nothing() -> Any:
    """The keeper takes a call for one that has not begun, though a child has claimed it."""
    return mock.patch.object(zygote_pool, "claim_for_keeper", return_value=None)


def leaves_processes() -> Any:
    """What a dead keeper leaves behind is not killed before jobs are run anew."""
    return mock.patch.object(dead_keeper, "kill_leftovers", return_value=[])


def forgets_cancels() -> Any:
    """The cancel of a job that waits for slots at the keeper is accepted, and nothing is done."""

    def terminate(self: Any, key: Any, cause: str, grace: float) -> None:
        job = self._jobs.get(key)
        if job is None or not self._slots.is_waiting(job):
            real(self, key, cause, grace)

    real = job_control.JobControl.terminate
    return mock.patch.object(job_control.JobControl, "terminate", terminate)


def reuses_attempts() -> Any:
    """A job that is run anew has the number of the attempt before."""

    def lost(self: Any, job: Any, *_: Any) -> None:
        outcome = outcomes.from_spool(job, self._paths)
        if outcome is None and job.restartable:
            self._ledger.file.write(
                lambda db: db.execute("UPDATE jobs SET state = 1 WHERE id = ?", (job.job_id,))
            )
        else:
            self._writer.end(job.job_id, outcome or outcomes.lost(job), job.bulk)

    return mock.patch.object(reconciliation.Reconciliation, "_lost", lost)


def runs_what_was_lost_anew() -> Any:
    """A job that ran when its keeper died is run anew, whether it may be or not."""

    def lost(self: Any, job: Any, *_: Any) -> None:
        self._writer.move(job.job_id, JobStatus.QUEUED, job.attempt + 1, None)

    return mock.patch.object(reconciliation.Reconciliation, "_lost", lost)


def logs_starts_too_late() -> Any:
    """The keeper logs that a job starts when it has started."""

    def process_started(self: Any, job: Any, pid: int) -> None:
        real_starting(self, job)
        real_started(self, job, pid)

    real_starting, real_started = job_log.JobLog.starting, job_log.JobLog.process_started
    return mock.patch.multiple(
        job_log.JobLog, starting=lambda self, job: None, process_started=process_started
    )


def forgets_who_has_gpus() -> Any:
    """A new supervisor does not ask which job has which GPU."""

    def adopt(self: Any, row: Any, devices: Any) -> None:
        real(self, row, ())

    real = queue.Queue.adopt
    return mock.patch.object(queue.Queue, "adopt", adopt)


def adopts_nothing() -> Any:
    """A new supervisor does not take in what runs."""
    return mock.patch.object(reconciliation.Reconciliation, "with_keeper", return_value=[])


def looks_not_again() -> Any:
    """A client that has connected anew does not look for what has happened meanwhile."""

    def make(self: Any, frames: Any, on_changed: Any, on_open: Any, *more: Any) -> None:
        real(self, frames, on_changed, lambda: None, *more)

    real = connection.SupervisorConnection.__init__
    return mock.patch.object(connection.SupervisorConnection, "__init__", make)


def counts_no_slots() -> Any:
    """There is always room for one more."""
    return mock.patch.object(slots._QueueSlots, "has_room", return_value=True)


def forgets_the_queue_of_the_dead() -> Any:
    """Jobs of a client that is killed before it could say so are not looked for."""
    return mock.patch.multiple(
        service.Supervisor, client_lost=lambda self: None, rescan=lambda self, backend: None
    )


def asks_not_for_the_unsure() -> Any:
    """A job that the supervisor has not said anything about is not looked for when it is cancelled."""

    def cancel_many(self: Any, jobs: Any, **how: Any) -> Any:
        jobs = list(jobs)
        known = [job for job in jobs if not job._record.unsure]
        answers = dict(zip([job.job_id() for job in known], real(self, known, **how), strict=True))
        return [answers.get(job.job_id(), False) for job in jobs]

    real = taskbackend.TaskBackend.cancel_many
    return mock.patch.object(taskbackend.TaskBackend, "cancel_many", cancel_many)


def _one(is_call: bool, seconds: float, cancels: dict[int, float] | None = None) -> list[ClientPlan]:
    return [ClientPlan(1, [[Plan(0, 1, is_call, seconds)]], 0.0, "outcome", cancels or {})]


def watches_no_memory() -> Any:
    """The keeper does not look at the memory of jobs."""
    return mock.patch.object(memory_watch, "occupied", return_value=0)


def starts_dependents_at_once() -> Any:
    """What is to start after others is queued as all else."""
    return mock.patch.object(bulks, "BLOCKED", 1)


def forgets_dependents() -> Any:
    """Nobody looks for those that start after what has ended."""
    return mock.patch.object(dependencies, "needed_and_open", return_value=[])


def leaves_tokens() -> Any:
    """What is taken back from a worker it may take all the same."""
    return mock.patch.object(worker_process.WorkerProcess, "take_back", return_value=set())


def forgets_what_workers_logged() -> Any:
    """What a dead keeper had not read yet of what its workers have logged is not looked at."""
    return mock.patch.object(worker_log, "add_left", return_value=None)


def begins_unlogged() -> Any:
    """A worker does not log that it begins."""

    def write(self: Any, kind: str, *fields: Any) -> None:
        if kind != "begun":
            real(self, kind, *fields)

    real = worker.Worker._write
    return mock.patch.object(worker.Worker, "_write", write)


QUICK: tuple[Callable[[], Any], ...] = (
    tells_before_it_writes, leaves_processes, forgets_cancels, reuses_attempts, runs_what_was_lost_anew,
    adopts_nothing, counts_no_slots, forgets_the_queue_of_the_dead,
    watches_no_memory, starts_dependents_at_once, forgets_dependents, forgets_who_has_gpus,
    forgets_what_workers_logged, begins_unlogged,
)  # fmt: skip
"""Those that are found within a few runs."""


def _in_one_worker(*seconds: float) -> list[ClientPlan]:
    calls = [Plan(number, 1, True, each) for number, each in enumerate(seconds)]
    return [ClientPlan(1, [calls], 0.0, "outcome", isolation="reuse")]


SCHEDULES: dict[Callable[[], Any], tuple[list[ClientPlan], list[Fault]]] = {
    claims_nothing: (_one(True, 1.0), [Fault("zygote", 2, "kill", on="write")]),
    logs_starts_too_late: (_one(False, 5.0), [Fault("job", 1, "kill", victim="keeper")]),
    looks_not_again: (_one(False, 5.0), [Fault("supervisor", 3, "kill", on="committed")]),
    asks_not_for_the_unsure: (
        _one(False, 1000.0, {0: 0.0}), [Fault("client", 2, "stop", 200.0, on="COMMIT", victim="supervisor")]
    ),
    leaves_tokens: (_in_one_worker(*[0.0] * 6, 1.0, *[0.0] * 6), []),
}  # fmt: skip
"""Those that need more: what goes wrong, for each."""


def runs_until_found(mutation: Callable[[], Any], most: int = ENOUGH) -> tuple[int, str] | None:
    """Return after how many runs a fault was found, and by what; None where it was not."""
    with mutation():
        for runs in range(1, most + 1):
            found = World(runs).run()
            if found:
                return runs, in_a_line(found[0])
    return None


def in_a_line(found: str) -> str:
    """Return the last line of what a run has found wrong.

    Raises:
        AssertionError: a mutation of ours does not fit the code any more, and so would be found by anything.
    """
    line = found.strip().splitlines()[-1]
    assert not (line.startswith("TypeError") and "<locals>" in line), line
    return line


def main() -> int:
    """Say for each after how many runs it was found."""
    missed = 0
    for mutation in (*QUICK, *SCHEDULES):
        found = runs_until_found(mutation, int(sys.argv[1]) if len(sys.argv) > 1 else 10 * ENOUGH)
        missed += found is None
        runs, what = found or (0, "NOT FOUND")
        print(f"{mutation.__name__:32} {runs:5}  {what[:110]}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())

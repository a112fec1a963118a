"""What has really happened, and what has to hold whatever goes wrong."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anyjob.builtin.local.process_table import read_mark
from anyjob.ledger.encoding import decode_outcome
from anyjob.ledger.file import schema
from anyjob.ledger.rows import CODE, FINAL, STATES, status_of
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from simulation.processes import Process
    from simulation.workload import Plan
    from simulation.world import World

SOON = 20.0
"""Seconds within which what was accepted is done, where nothing goes wrong."""
LOOKS = 2.5
"""Seconds within which a job that has more memory than it asked for is ended, where nothing goes wrong."""
_QUERY = "SELECT id, state, attempt, reason, outcome FROM jobs"


def _gpus_of(process: Process) -> set[str]:
    # A call that has none finds that in the variables of its zygote, of which a process here has no copy.
    return set(filter(None, process.variables.get("CUDA_VISIBLE_DEVICES", "").split(",")))


@dataclass
class Run:
    """The work of one attempt of a job."""

    plan: Plan
    process: Process
    began: float
    ended: float | None = None

    def has_returned(self, now: float) -> None:
        """It is over, in a process that goes on or has died."""
        if self.ended is None:
            self.ended = now

    @property
    def is_over(self) -> bool:
        """Whether nothing of it goes on; in a process of its own, until that is gone."""
        return self.process.dead or (self.process.role == "worker" and self.ended is not None)


class Truth:
    """What the jobs did, by themselves; and what clients were told.

    Args:
        world: where.
        plans: the jobs that clients hand over, by number.
    """

    def __init__(self, world: World, plans: list[Plan]) -> None:
        self._world = world
        self.plans = plans
        self.starts: Counter[tuple[str, int]] = Counter()
        self.runs: dict[tuple[str, int], Run] = {}
        self.by_job: dict[str, Plan] = {}
        self.job_of: dict[int, str] = {}
        self.id_of: dict[int, str] = {}  # of those that a client was told are handed over
        self.cancel_asked: set[str] = set()
        self.cancelled: dict[str, tuple[float, int]] = {}  # when that was accepted, and in which attempt
        self.has_killed_worker = False
        self.killed_jobs: set[tuple[str, int]] = set()
        self.told: dict[tuple[str, str], str] = {}  # (job, who waited) to the state that was told

    def started(self, number: int, process: Process) -> Run:
        """The work of a job begins in a process."""
        world, plan = self._world, self.plans[number]
        key = process.variables["ANYJOB_JOB_ID"], int(process.variables["ANYJOB_ATTEMPT"])
        job_id, attempt = key
        self.by_job[job_id] = plan
        self.starts[key] += 1
        first = self.job_of.setdefault(number, job_id)
        self._world.checks.that(
            first == job_id, f"job {first[:4]} was handed over once more, as {job_id[:4]}"
        )
        world.machine.say(f"WORK of plan {number} begins: job {job_id[:4]} attempt {attempt}", process)
        check = world.checks
        check.that(self.starts[key] == 1, f"job {job_id[:4]} runs twice in attempt {attempt}")
        alive = [key for key, run in self.runs.items() if not run.is_over]
        check.that(
            not any(job == job_id for job, _ in alive), f"two attempts of job {job_id[:4]} run at once"
        )
        may_run_again = plan.restartable or plan.retries
        check.that(attempt == 1 or may_run_again, f"job {job_id[:4]} is not restartable and runs again")
        if not plan.restartable:
            check.that(attempt <= 1 + plan.retries, f"job {job_id[:4]} runs again too often: {attempt}")
        check.that(job_id not in world.checks.final, f"job {job_id[:4]} starts though it has ended")
        for needed in plan.after:
            check.that(
                self.meets(plan, needed),
                f"job {job_id[:4]} starts before what it needs, {self.id_of[needed][:4]}",
            )
        if job_id in self.cancelled:
            accepted, last = self.cancelled[job_id]
            in_time = world.machine.now < max(accepted, world.faults.over_at) + SOON
            check.that(in_time and attempt <= last, f"job {job_id[:4]} starts though its cancel was accepted")
        used = sum(
            self.runs[key].plan.cpus for key in alive if self.runs[key].plan.client_slots == plan.client_slots
        )
        check.that(
            used + plan.cpus <= plan.client_slots, f"{used + plan.cpus} of {plan.client_slots} slots used"
        )
        self._check_gpus(plan, key, process)
        run = self.runs[key] = Run(plan, process, world.machine.now)
        process.on_death = lambda: run.has_returned(world.machine.now)
        return run

    def meets(self, plan: Plan, needed: int) -> bool | None:
        """Tell whether a job has come to what another starts after; None: it has not ended."""
        row = self._world.checks.final.get(self.id_of[needed])
        if row is None:
            return None
        reached = {"after": JobStatus.DONE, "after_failure": JobStatus.ERROR}.get(plan.condition)
        return reached is None or STATES[row[1]] is reached

    def _check_gpus(self, plan: Plan, key: tuple[str, int], process: Process) -> None:
        """A job sees as many GPUs as it has asked for, and nothing of any other job has one of them."""
        check = self._world.checks.that
        mine = _gpus_of(process)
        asked = max(int(plan.gpus), 1) if plan.gpus else 0
        check(len(mine) == asked, f"job {key[0][:4]} asked for {plan.gpus:g} GPUs, and sees {sorted(mine)}")
        shares: Counter[tuple[str, int]] = Counter()
        for other in self._world.machine.processes.values():
            if other.dead or not mine & _gpus_of(other) or self._is_idle(other):
                continue
            owner = other.variables["ANYJOB_JOB_ID"], int(other.variables["ANYJOB_ATTEMPT"])
            if owner != key:
                shares[owner] = 1
                whole = plan.gpus >= 1 or self.by_job[owner[0]].gpus >= 1
                check(not whole, f"job {key[0][:4]} has a GPU that something of job {owner[0][:4]} has")
        check(len(shares) < 2, f"{len(shares) + 1} jobs have a half of one GPU each")

    def _is_idle(self, process: Process) -> bool:
        """Tell whether it is a worker between two calls."""
        return process.role == "worker" and all(
            run.is_over for run in self.runs.values() if run.process is process
        )

    def killed(self, process: Process) -> None:
        """A fault kills a process."""
        self.has_killed_worker |= process.role == "worker"  # its next call may have begun, unmarked
        mark = read_mark(bytes(process.environ))
        if mark is not None and process.role in ("call", "worker", "job"):
            self.killed_jobs.add((mark.job_id, mark.attempt))


class Checks:
    """Looks, at each commit, for what must not be; and at the end.

    Args:
        world: where.
        ledger: a connection of its own.
    """

    def __init__(self, world: World, ledger: sqlite3.Connection) -> None:
        self._world = world
        self._ledger = ledger
        self.violations: list[str] = []
        self.final: dict[str, tuple[Any, ...]] = {}
        self.final_at: dict[str, float] = {}
        self.states: dict[str, tuple[int, int]] = {}

    def that(self, holds: object, otherwise: str) -> None:
        """Something has to hold."""
        if not holds:
            self._world.machine.say(f"VIOLATION: {otherwise}")
            self.violations.append(otherwise)

    def rows(self) -> dict[str, tuple[Any, ...]]:
        """Return what the ledger says of each job: id, state, attempt, reason, outcome."""
        return {row[0]: row for row in self._ledger.execute(_QUERY).fetchall()}

    def committed(self) -> None:
        """A process has written to the ledger."""
        rows = self.rows()
        for job_id, row in rows.items():
            _, state, attempt, _, _ = row
            if job_id in self.final:
                self.that(self.final[job_id] == row, f"job {job_id[:4]} had ended and is {row[1:4]} now")
                continue
            before = self.states.get(job_id)
            if before is not None:
                self.that(attempt >= before[1], f"the attempt of job {job_id[:4]} goes back to {attempt}")
                if before[0] == CODE[JobStatus.RUNNING] and state < before[0]:
                    self.that(attempt > before[1], f"job {job_id[:4]} is queued again in the same attempt")
            self.states[job_id] = state, attempt
            if state >= FINAL:
                self.final[job_id] = row
                self.final_at[job_id] = self._world.machine.now
                self._ended(row)
        for job_id in self.states.keys() - rows.keys():
            self.that(job_id not in self._world.truth.by_job, f"job {job_id[:4]} has run and is forgotten")
            del self.states[job_id]

    def _ended(self, row: tuple[Any, ...]) -> None:
        """The ledger says that a job has ended: it must be so."""
        world, truth = self._world, self._world.truth
        job_id, state, attempt, reason, data = row
        key, name = (job_id, attempt), job_id[:4]
        plan, status = truth.by_job.get(job_id), STATES[state]
        outcome = None if data is None else decode_outcome(data)
        for other, run in truth.runs.items():
            if other[0] == job_id:
                self.that(run.is_over, f"job {name} is {status.name}, and attempt {other[1]} of it runs")
        if status is JobStatus.DONE:
            self.that(truth.starts[key] == 1, f"job {name} is DONE, and attempt {attempt} never ran")
            self.that(plan is not None and plan.code == 0, f"job {name} is DONE, and has failed")
            self.that(
                key not in truth.killed_jobs or (plan and plan.is_call), f"job {name} is DONE, and was killed"
            )
            if job_id in truth.cancelled:
                self.that(
                    plan is None or plan.seconds < 1000, f"job {name} ran to its end, its cancel accepted"
                )
            too_much = plan is not None and plan.memory and plan.greedy and plan.seconds > LOOKS
            self.that(
                not too_much or world.faults.happened, f"job {name} is DONE, and took more memory than asked"
            )
            run_of = truth.runs.get(key)
            if plan is not None and run_of is not None and run_of.ended is not None:
                ran = run_of.ended - run_of.began
                self.that(
                    ran >= plan.seconds, f"job {name} is DONE, and ended after {ran:.2f} s of {plan.seconds}"
                )
        elif status is JobStatus.CANCELLED:
            self.that(job_id in truth.cancel_asked, f"job {name} is CANCELLED, and nobody asked for it")
        elif reason == "dependency":
            self.that(
                plan is None or any(truth.meets(plan, needed) is False for needed in plan.after),
                f"job {name} ended by a dependency, and all that it needs may come about",
            )
            self.that(truth.starts[key] == 0, f"job {name} ended by a dependency, and has run")
        elif reason == "lost":
            self.that(world.keeper_died, f"job {name} is lost, and no keeper has died")
            self.that(
                plan is None or not plan.restartable or truth.starts[key] == 0,
                f"job {name} is lost: restartable",
            )
        elif reason == "walltime":
            self.that(plan is not None and plan.walltime, f"job {name} has no walltime, and ended by it")
        elif reason == "memory":
            self.that(
                plan is not None and plan.memory and plan.greedy, f"job {name} took no more memory than asked"
            )
        elif reason == "exit-code" and outcome is not None and outcome.exit_code in (126, 127):
            self.that(world.faults.any_failed, f"job {name} cannot be started: {outcome.message}")
        elif reason in ("exit-code", "exception") and plan is not None and plan.code:
            is_last = attempt > plan.retries or job_id in truth.cancelled
            self.that(is_last, f"job {name} has failed in attempt {attempt}, its last")
        elif reason == "signal" or (outcome is not None and "signal" in outcome.message):
            killed = key in truth.killed_jobs or truth.has_killed_worker
            self.that(killed, f"job {name} was killed by nobody: {outcome}")
        else:
            self.that(
                world.faults.any_failed, f"job {name}: {status.name} {reason} {outcome and outcome.message}"
            )

    def at_end(self) -> None:
        """Nothing goes wrong any more, and all that waits or runs has ended."""
        world, truth = self._world, self._world.truth
        rows = self.rows()
        for job_id, row in rows.items():
            self.that(row[1] >= FINAL, f"job {job_id[:4]} has not ended: {status_of(row[1]).name}")
        for fault in schema.faults(self._ledger):
            self.that(False, f"the ledger does not fit together: {fault}")
        for job_id in truth.by_job:
            self.that(job_id in rows, f"job {job_id[:4]} has run, and the ledger does not know it")
        for (job_id, who), said in truth.told.items():
            now = status_of(rows[job_id][1]).name if job_id in rows else "forgotten"
            self.that(said == now, f"{who} was told that job {job_id[:4]} is {said}, and it is {now}")
        for process in world.machine.processes.values():
            if process.pid != 1:
                self.that(False, f"{process} is left over")
        left = list((world.state / "env").iterdir())
        died = any(fault.kind in ("kill", "tear", "full", "fail") for fault in world.faults.happened)
        # They are removed when old. Several may end by one transaction, and who removes them is killed then.
        self.that(died or not left, f"{len(left)} environments are left over")
        for error in world.crashes:
            self.that(False, error)

"""What clients do in a run: the jobs that they hand over, and how they wait for them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from anyjob.backend import BackendConfiguration
from anyjob.builtin.local.backend import LocalBackend
from anyjob.builtin.local.options import LocalOptions
from anyjob.errors import AnyjobError
from anyjob.ledger.store import Ledger
from anyjob.retry import Retry
from anyjob.runtime.services import Services
from anyjob.specs import Call, Command
from anyjob.status import PREREQUISITES
from anyjob.tracking.waits.blocking import as_completed, wait
from simulation import programs
from simulation.invariants import SOON

if TYPE_CHECKING:
    from simulation.processes import Process
    from simulation.world import World


@dataclass
class Plan:
    """A job."""

    number: int
    client_slots: int
    is_call: bool
    seconds: float
    code: int = 0
    restartable: bool = False
    walltime: float | None = None
    memory: int | None = None
    greedy: bool = False
    cpus: int = 1
    gpus: float = 0
    stubborn: bool = False
    leaves: str = ""
    after: tuple[int, ...] = ()
    condition: str = "after"
    retries: int = 0
    wait: float = 0.0


@dataclass
class ClientPlan:
    """What a client does: it hands over bulks of jobs, waits, and cancels some."""

    slots: int
    bulks: list[list[Plan]]
    pause: float
    waits: str
    cancels: dict[int, float] = field(default_factory=dict)  # number of a job: when
    watches: bool = False
    isolation: Literal["fork", "reuse"] = "fork"
    recycle: int = 1000


def draw(seed: int) -> list[ClientPlan]:
    """Return what the clients of a run do."""
    drawn, of_memory = random.Random(f"workload {seed}"), random.Random(f"memory {seed}")
    of_graph = random.Random(f"graph {seed}")
    of_gpus = random.Random(f"gpus {seed}")
    of_retries = random.Random(f"retries {seed}")
    clients: list[ClientPlan] = []
    count = 0
    for number in range(drawn.choice((1, 1, 2, 2, 3))):
        slots = drawn.choice((1, 2, 3)) if number != 1 or drawn.random() < 0.5 else clients[0].slots
        bulks: list[list[Plan]] = []
        for _ in range(drawn.choice((1, 1, 2)) + of_graph.choice((0, 1, 2))):
            shared: dict[str, Any] = {
                "is_call": drawn.random() < 0.4,
                "restartable": drawn.random() < 0.4,
                "walltime": drawn.choice((None, None, None, 2.0)),
                "cpus": drawn.choice((1, 1, 1, slots)),
            }
            memory = of_memory.choice((None, None, None, MEMORY))
            before = [plan.number for earlier in bulks for plan in earlier]
            if of_graph.random() < 0.6:
                shared["after"] = tuple(of_graph.sample(before, of_graph.randint(0, min(3, len(before)))))
                shared["condition"] = of_graph.choice(PREREQUISITES)
            if of_retries.random() < 0.3:
                shared["retries"] = of_retries.randint(1, 2)
                shared["wait"] = of_retries.choice((0.0, 0.05, 3.0))
            gpus = of_gpus.choice((0, 0, 0, 0.5, 1, GPUS))
            bulk = []
            for _ in range(drawn.choice((1, 1, 2, 3, 5))):
                plan = Plan(count, slots, seconds=drawn.choice((0.0, 0.0, 0.01, 0.2, 1.0, 5.0)), **shared)
                plan.code = drawn.choice((0, 0, 0, 3))
                plan.stubborn = drawn.random() < 0.15
                plan.leaves = drawn.choice(("",) * 8 + ("group", "session"))
                plan.memory, plan.greedy = memory, of_memory.random() < 0.3
                plan.gpus = gpus
                bulk.append(plan)
                count += 1
            bulks.append(bulk)
        client = ClientPlan(slots, bulks, drawn.choice((0.0, 0.0, 0.3, 25.0)), drawn.choice(WAITS))
        # Who shares slots has the same settings: others would be another queue.
        of_workers = random.Random(f"workers {seed} {slots}")
        client.isolation = of_workers.choice(("fork", "reuse"))
        client.recycle = of_workers.choice((1, 2, 1000, 1000))
        for bulk in bulks if client.isolation == "reuse" else ():
            is_call = drawn.random() < 0.7
            for plan in bulk:
                plan.is_call = plan.is_call or is_call
        client.watches = drawn.random() < 0.2
        for bulk in bulks:
            for plan in bulk:
                if drawn.random() < 0.2:
                    client.cancels[plan.number] = drawn.choice((0.0, 0.05, 0.5, 2.0))
                    # The memory of a job is looked at again and again: these would be too many steps.
                    if client.waits != "leaves" and not plan.walltime and not plan.memory:
                        plan.seconds = drawn.choice((plan.seconds, LONG))
        clients.append(client)
    return clients


GPUS = 2
"""How many there are, for all clients together."""
MEMORY = 64 << 20
"""Bytes that a job asks for, where it asks for any; a greedy one takes more."""
LONG = 1000.0
"""Seconds that a job takes that is to be cancelled."""
WAITS = ("outcome", "wait", "as_completed", "final_state", "leaves")


class Watching(Services):
    """Hears of each end."""

    watches = True

    def __init__(self, finished: list[str]) -> None:
        super().__init__()
        self._finished = finished

    def finished(self, backend: Any, record: Any, outcome: Any) -> None:
        if backend.recorder.claim_finished(record.job_id):
            self._finished.append(record.job_id)


class Told(LocalBackend):
    """Checks that what is told is in the ledger."""

    world: Any = None

    def _changed(self, ended: list[str], moved: list[str]) -> None:
        checks = self.world.checks
        for job_id in ended:
            checks.that(
                job_id in checks.final, f"job {job_id[:4]} is said to have ended before the ledger says so"
            )
        super()._changed(ended, moved)


class Client:
    """A process that uses the backend `local`.

    Args:
        world: where.
        name: what it is called.
        plan: what it does.
    """

    def __init__(self, world: World, name: str, plan: ClientPlan) -> None:
        self._world = world
        self._machine = world.machine
        self._name = name
        self._plan = plan
        self.process: Process | None = None
        self.finished: list[str] = []

    def start(self) -> None:
        """Start the process."""
        self.process = self._machine.start(
            "client", self._run, variables=programs.environment_of(self._world), own_session=True
        )

    def _backend(self) -> LocalBackend:
        plan = self._plan
        options = LocalOptions(
            slots=plan.slots, python="/sim/python", gpus=GPUS, isolation=plan.isolation, recycle=plan.recycle
        )
        backend = Told(BackendConfiguration("laptop", ""), options=options)
        backend.world = self._world
        backend.type_name = "local"
        if self._plan.watches:
            backend.services = Watching(self.finished)
        backend.services._ledger = Ledger(self._world.state)
        backend.services._job_types = self._world.job_types
        return backend

    def _run(self) -> None:
        self._machine.sleep(self._plan.pause)
        backend = self._backend()
        jobs: list[Any] = []
        for bulk in self._plan.bulks:
            jobs += self._submit(backend, bulk)
        if self._plan.waits == "leaves":
            return
        cancelled: list[Any] = []
        threads = []
        for job, plan in jobs:
            if plan.number in self._plan.cancels:
                threads.append(partial(self._cancel, job, self._plan.cancels[plan.number]))
        threads.append(partial(self._wait, [job for job, _ in jobs], self._plan.waits))
        if self._plan.watches:
            threads.append(partial(self._wait, [job for job, _ in jobs], "outcome"))
        threads.append(partial(self._listen, [job for job, _ in jobs]))
        process = self._machine.process
        for thread in threads[1:]:
            self._machine.start_task(process, partial(self._thread, thread, cancelled), "thread")
        self._thread(threads[0], cancelled)
        self._machine.wait(lambda: len(cancelled) == len(threads))
        for job, _ in jobs:
            self._note(job)
        backend.close()
        backend.services.ledger.close()

    def _thread(self, run: Any, done: list[Any]) -> None:
        process = self._machine.process
        self._machine.run_task(process, run)
        done.append(run)

    def _submit(self, backend: LocalBackend, bulk: list[Plan]) -> list[tuple[Any, Plan]]:
        """Hand over a bulk; again where that failed."""
        first = bulk[0]
        specs: list[Any] = [
            Call(programs.work, (plan.number,)) if plan.is_call else Command([programs.JOB, str(plan.number)])
            for plan in bulk
        ]
        while True:
            try:
                jobs = backend.run_many(
                    specs,
                    restartable=first.restartable,
                    walltime=first.walltime,
                    cpus=first.cpus,
                    memory=first.memory,
                    **{first.condition: [self._world.truth.id_of[number] for number in first.after]},
                    gpus=first.gpus,
                    retries=Retry(first.retries, wait=first.wait) if first.retries else None,
                )
            except (AnyjobError, OSError) as error:
                self._machine.say(f"cannot submit: {error}")
                self._machine.sleep(1.0)
                continue
            for job, plan in zip(jobs, bulk, strict=True):
                self._world.submitted(job.job_id(), plan)
            return list(zip(jobs, bulk, strict=True))

    def _cancel(self, job: Any, after: float) -> None:
        """Cancel a job; again where nobody answers."""
        self._machine.sleep(after)
        truth, checks, job_id = self._world.truth, self._world.checks, job.job_id()
        truth.cancel_asked.add(job_id)
        accepted: bool = self._until_answered(job.cancel)
        self._machine.say(f"cancel of {job_id[:4]}: {accepted}")
        if accepted:
            truth.cancelled[job_id] = self._machine.now, checks.states[job_id][1]
        else:
            checks.that(
                job_id in checks.final, f"a cancel of job {job_id[:4]} is refused, and it has not ended"
            )

    def _wait(self, jobs: list[Any], how: str) -> None:
        """Wait until jobs have ended, as users do."""
        while True:
            try:
                match how:
                    case "outcome":
                        for job in jobs:
                            job.outcome()
                    case "wait":
                        wait(jobs)
                    case "as_completed":
                        for _ in as_completed(jobs):
                            pass
                    case "final_state":
                        for job in jobs:
                            job.wait_for_final_state(wait=1e9)
            except (AnyjobError, OSError) as error:
                self._machine.say(f"cannot wait: {error}")
                self._machine.sleep(1.0)
                continue
            break

    def _listen(self, jobs: list[Any]) -> None:
        """Have the end of each told as soon as it is known."""
        for job in jobs:
            self._until_answered(partial(job._on_final, partial(self._told, job.job_id())))

    def _until_answered(self, ask: Any) -> Any:
        """Ask, and again where nobody answers or the ledger cannot be used; return the answer."""
        while True:
            try:
                return ask()
            except (AnyjobError, OSError) as error:
                self._machine.say(f"raised {error}")
                self._machine.sleep(1.0)

    def _told(self, job_id: str, said: Any) -> None:
        """Somebody who waited is told."""
        checks, now = self._world.checks, self._machine.now
        known = max(checks.final_at.get(job_id, now), self._world.faults.over_at)
        if not isinstance(said, BaseException):
            checks.that(now < known + SOON, f"{self._name} is told {now - known:.0f} s late of {job_id[:4]}")

    def _note(self, job: Any) -> None:
        """It was told that a job has ended."""
        outcome = job._record.outcome
        self._world.checks.that(
            outcome is not None, f"{self._name} waited for {job.job_id()[:4]}, and knows nothing"
        )
        if outcome is not None:
            self._world.truth.told[job.job_id(), self._name] = outcome.status.name


class Auditor(Client):
    """Comes when all others have gone, and waits for whatever has not ended."""

    def _run(self) -> None:
        backend = self._backend()
        self._until_answered(backend._client.open)
        rows = self._until_answered(backend.services.ledger.select)
        for row in rows:
            maker = self._backend_of(backend, row)
            job = maker.recall(row)
            plan = self._world.truth.by_job.get(row.job_id)
            if plan is None or plan.seconds == LONG:
                self._cancel(job, 0.0)
            self._wait([job], "outcome")
            self._note(job)
        backend.close()

    def _backend_of(self, backend: LocalBackend, row: Any) -> LocalBackend:
        known = backend.services.ledger.backend_row(row.backend).options
        plan = ClientPlan(known["slots"], [], 0.0, "outcome")
        plan.isolation, plan.recycle = known.get("isolation", "fork"), known.get("recycle", 1000)
        return Auditor(self._world, self._name, plan)._backend()

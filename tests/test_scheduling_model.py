"""The scheduler as a whole, on a real ledger, against a model: nothing over-committed, lost or starved.

Jobs of two backends of one machine ask for cores, named counts, GPUs and shares of them; they are submitted,
also by jobs, held, cancelled, given other priorities, limited, and end, while slots and counts change, places
are lent, and supervisor or keeper die.
"""

from __future__ import annotations

import itertools
import pickle
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from anyjob import Command, JobStatus, Resources
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.scheduling import prefetch
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.ledger.encoding import Context, encode_resources
from anyjob.ledger.rows import BackendRow, NewJob
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.resources import labels_of

GIB = 2**30
GPUS = (("0", 24 * GIB), ("GPU-b", 16 * GIB))
KINDS = [
    Resources(name="a"),
    Resources(name="b", tags={"k": "1"}),
    Resources(name="a", tags={"k": "1"}, cpus=2),
    Resources(needs={"licence": 1}),
    Resources(name="b", needs={"licence": 1, "disk": 1}),
    Resources(name="c", needs={"disk": 2}, priority=1),
    Resources(gpus=1),
    Resources(name="a", gpus=2),
    Resources(name="c", gpus=0.5),
    Resources(gpu_memory=10 * GIB),
]
LABELS = sorted({label for kind in KINDS for label in labels_of(kind)})
PAYLOAD = pickle.dumps(Command(["true"]))


class Scheduling(RuleBasedStateMachine):
    """Plays client, keeper and ledger writer to a scheduler."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.paths = RuntimePaths(Path(self.directory.name))
        self.ledger = Ledger(self.paths.state)
        self.shared = {"disk": 2}
        self.numbers = [
            self.ledger.backend(
                BackendRow(f"f{each}", f"b{each}", "local", "anyjob", self.options(each), self.paths.host)
            )
            for each in (0, 1)
        ]
        self.settings: list[dict[str, Any]] = [{}, {}]
        self.scheduler = self.started()
        self.kinds: dict[str, tuple[int, Resources]] = {}
        self.waiting: set[str] = set()
        self.held: set[str] = set()
        self.running: dict[str, tuple[str, ...]] = {}  # with their GPUs
        self.begun: set[str] = set()
        self.leaving: dict[str, tuple[str, ...]] = {}  # they have ended, and their processes are there still
        self.lent: set[str] = set()
        self.limits: list[dict[str, int]] = [{}, {}]
        self.over: Counter[str] = Counter()
        self.is_prompt = True

    def options(self, queue: int) -> dict[str, Any]:
        return {"slots": 2 + queue, "resources": {"licence": 1}, "memory": GIB, "shared": self.shared}

    def started(self) -> Scheduler:
        return Scheduler(self.ledger, self.paths, Bulks(self.ledger), lambda: None)

    def some(self, data: Any, among: Any) -> list[str]:
        return list(data.draw(st.lists(st.sampled_from(sorted(among)), min_size=1, max_size=4, unique=True)))

    def one(self, data: Any, among: Any) -> str:
        return str(data.draw(st.sampled_from(sorted(among))))

    def option(self, queue: int, name: str) -> Any:
        return self.settings[queue].get(name, self.options(queue)[name])

    # --- clients --------------------------------------------------------------------------------

    def add(self, queue: int, resources: Resources, count: int, parent: str = "") -> None:
        ids = [f"{len(self.kinds) + each:020x}" for each in range(count)]
        gpus = GPUS if resources.gpus or resources.gpu_memory else ()
        self.ledger.add(
            self.numbers[queue],
            [NewJob(job_id, PAYLOAD) for job_id in ids],
            kind="command",
            native="command",
            context=Context(("command",), encode_resources(resources), gpus=gpus, parent=parent),
            name=resources.name,
            state=JobStatus.QUEUED,
        )
        self.kinds.update(dict.fromkeys(ids, (queue, resources)))
        self.waiting.update(ids)
        self.scheduler.rescan(self.numbers[queue])

    @rule(queue=st.integers(0, 1), kind=st.sampled_from(KINDS), count=st.integers(1, 30))
    def submit(self, queue: int, kind: Resources, count: int) -> None:
        self.add(queue, kind, count)

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), kind=st.sampled_from(KINDS[:3]))
    def submit_from_a_job(self, data: Any, kind: Resources) -> None:
        parent = self.one(data, self.begun)
        self.add(self.kinds[parent][0], kind, 2, parent)
        self.lend(parent)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        ids = self.some(data, self.waiting)
        self.ledger.cancel_queued(ids, self.paths.host, 1.0)
        self.scheduler.drop(set(ids))
        self.waiting -= set(ids)
        self.over.update(ids)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def hold(self, data: Any) -> None:
        ids = self.ledger.hold(self.some(data, self.waiting), self.paths.host)
        self.scheduler.drop(set(ids))
        self.waiting -= set(ids)
        self.held |= set(ids)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: Any) -> None:
        self.released(self.some(data, self.held))

    def released(self, ids: list[str]) -> None:
        self.ledger.release(ids, self.paths.host)
        self.scheduler.reread_all()
        self.held -= set(ids)
        self.waiting |= set(ids)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), priority=st.integers(-1, 1))
    def change_priority(self, data: Any, priority: int) -> None:
        self.ledger.set_priority(self.some(data, self.waiting), self.paths.host, priority)
        self.scheduler.reread_all()

    @rule(queue=st.integers(0, 1), slots=st.integers(2, 4), licence=st.integers(1, 3))
    def change_capacity(self, queue: int, slots: int, licence: int) -> None:
        self.set(queue, slots=slots, resources={"licence": licence})

    @rule(queue=st.integers(0, 1), limits=st.dictionaries(st.sampled_from(LABELS), st.integers(0, 2)))
    def limit(self, queue: int, limits: dict[str, int]) -> None:
        self.limits[queue] = limits
        self.set(queue, limits=limits)

    def set(self, queue: int, **settings: Any) -> None:
        self.settings[queue].update(settings)
        self.ledger.set_options(self.numbers[queue], self.settings[queue])
        self.scheduler.queue(self.numbers[queue]).adjust(self.settings[queue])

    def lend(self, job_id: str) -> None:
        assert self.scheduler.lend(job_id, 1)
        self.lent.add(job_id)

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def wait_for_others(self, data: Any) -> None:
        self.lend(self.one(data, self.begun))

    @precondition(lambda self: self.lent)
    @rule(data=st.data())
    def go_on(self, data: Any) -> None:
        job_id = self.one(data, self.lent)
        assert self.scheduler.take_back(job_id, 1)
        self.lent.discard(job_id)

    # --- what the scheduler decides --------------------------------------------------------------

    @rule(is_prompt=st.booleans())
    def hurry(self, is_prompt: bool) -> None:
        self.is_prompt = is_prompt

    @invariant()
    def take_at_once(self) -> None:
        if self.is_prompt:
            self.take()
            self.begun_to_run(sorted(self.running.keys() - self.begun)[::2])

    @rule()
    def take(self) -> None:
        for job, order in self.scheduler.take():
            assert not isinstance(order, Exception), order
            assert job.job_id in self.waiting, "it is not one that may start"
            self.waiting.discard(job.job_id)
            self.running[job.job_id] = job.devices
            self.check(job.job_id, begins_later=order["capacity"] > 0)
        if not self.running and not self.leaving:
            assert not any(map(self.is_allowed, self.waiting)), "nothing runs, and nothing starts"

    def is_allowed(self, job_id: str) -> bool:
        queue, resources = self.kinds[job_id]
        return all(self.limits[queue].get(label, 1) for label in labels_of(resources))

    def check(self, started: str, *, begins_later: bool) -> None:
        """What a job has been given was there."""
        queue, resources = self.kinds[started]
        counts: list[Counter[str]] = [Counter(), Counter()]
        labels: Counter[str] = Counter()
        for job_id in self.running:
            of, asked = self.kinds[job_id]
            counts[of].update(asked.needs)
            if job_id not in self.lent:
                counts[of]["cpus"] += asked.cpus or 1
                labels.update(labels_of(asked) if of == queue else ())
        slots = self.option(queue, "slots")
        if begins_later:  # the keeper has it begin when there is a slot
            assert not resources.needs
            assert not self.running[started]
            assert counts[queue]["cpus"] <= 2 * slots
        else:
            assert counts[queue]["cpus"] <= slots
        if resources.needs.get("licence"):
            assert counts[queue]["licence"] <= self.option(queue, "resources")["licence"]
        if resources.needs.get("disk"):
            assert counts[0]["disk"] + counts[1]["disk"] <= self.shared["disk"]
        for label in labels_of(resources):
            assert labels[label] <= self.limits[queue].get(label, labels[label])
        self.check_gpus()

    def check_gpus(self) -> None:
        for gpu, memory in GPUS:
            having = [
                self.kinds[job_id][1]
                for job_id, devices in [*self.running.items(), *self.leaving.items()]
                if gpu in devices
            ]
            assert len(having) <= 1 or all((each.gpus or 0) < 1 for each in having), "a whole one is shared"
            shares = sum(each.gpus or (each.gpu_memory or 0) / memory for each in having)
            assert len(having) <= 1 or shares <= 1.0001

    # --- the keeper ------------------------------------------------------------------------------

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def begin(self, data: Any) -> None:
        self.begun_to_run(self.some(data, self.running))

    def begun_to_run(self, ids: list[str]) -> None:
        self.ledger.moved([(job_id, JobStatus.RUNNING, 1, 1.0) for job_id in ids])
        self.begun |= set(ids)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), is_gone=st.booleans())
    def end(self, data: Any, is_gone: bool) -> None:
        self.ended(self.one(data, self.running), is_gone)

    def ended(self, job_id: str, is_gone: bool) -> None:
        self.settled(job_id)
        devices = self.running.pop(job_id)
        self.scheduler.ended(job_id)
        self.lent.discard(job_id)
        if devices and not is_gone:
            self.leaving[job_id] = devices
        elif devices:
            self.scheduler.freed(job_id)

    def settled(self, job_id: str) -> None:
        self.ledger.settle({job_id: Outcome(status=JobStatus.DONE)})
        self.begun.discard(job_id)
        self.over[job_id] += 1

    @precondition(lambda self: self.leaving)
    @rule(data=st.data())
    def gone(self, data: Any) -> None:
        job_id = self.one(data, self.leaving)
        del self.leaving[job_id]
        self.scheduler.freed(job_id)

    @precondition(lambda self: self.running.keys() - self.begun)
    @rule(data=st.data())
    def withdraw(self, data: Any) -> None:
        """The keeper gives a job back that waits there."""
        job_id = self.one(data, self.running.keys() - self.begun)
        if not self.running[job_id]:
            del self.running[job_id]
            self.waiting.add(job_id)
            self.scheduler.ended(job_id)
            self.scheduler.reread_all()

    @rule()
    def keeper_dies(self) -> None:
        """What had begun is lost, and nothing is left of any."""
        for job_id in list(self.begun):
            self.settled(job_id)
            del self.running[job_id]
        self.waiting |= self.running.keys()
        self.running.clear()
        self.leaving.clear()
        self.lent.clear()
        self.scheduler.forget_running()

    @rule()
    def supervisor_dies(self) -> None:
        """The next one is told of what has begun, and of what is not gone."""
        self.scheduler = self.started()
        rows = self.ledger.rows([*self.begun, *self.leaving])
        for job_id in [job_id for job_id in self.running if job_id not in self.begun]:
            del self.running[job_id]
            self.waiting.add(job_id)
        for job_id, devices in self.running.items():
            self.scheduler.adopt(rows[job_id], devices)
        for job_id, devices in self.leaving.items():
            self.scheduler.hold(rows[job_id], devices)
        self.lent.clear()
        self.scheduler.rescan_all()

    def teardown(self) -> None:
        try:
            if self.held:
                self.released(list(self.held))
            for queue in (0, 1):
                self.limits[queue] = dict.fromkeys(self.limits[queue], 1)
                self.set(queue, limits=self.limits[queue])
            for _ in range(2 * len(self.kinds) + 2):
                self.take()
                for job_id in list(self.running):
                    self.ended(job_id, is_gone=True)
                for job_id in list(self.leaving):
                    del self.leaving[job_id]
                    self.scheduler.freed(job_id)
            assert not self.waiting, "they starve"
            assert self.over == Counter(self.kinds.keys()), "each ends once"
        finally:
            self.ledger.close()
            self.directory.cleanup()


def test_what_the_scheduler_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock finds a second gone: how many jobs the keeper has ahead depends on it."""
    seconds = itertools.count()
    monkeypatch.setattr(prefetch, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    run_state_machine_as_test(
        Scheduling, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )

"""A job whose result cannot be read ends as ERROR and says why: it is no trouble of other jobs."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.cli_program import invoke
from support.manual_clock import ManualClock
from support.scripted_backends import ScriptedEngine

from anyjob import (
    Capabilities,
    Command,
    JobFailedError,
    JobStatus,
    JobTimeoutError,
    Observation,
    Outcome,
    Registry,
    Session,
    Ticket,
    as_completed,
    set_default_session,
)

DONE, ERROR = JobStatus.DONE, JobStatus.ERROR
LONG = 30  # seconds: only ever waited for where something is broken


class Reading(ScriptedEngine):
    """An engine whose jobs leave bytes, which `collect` reads: those of some are no pickle."""

    left: ClassVar[dict[str, Any]] = {}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return {ticket.job_id: self.read(self.left[ticket.native_id]) for ticket in tickets}

    def read(self, left: Any) -> Any:
        if isinstance(left, bytes):
            pickle.loads(left)  # as one that looks for an exception in it does
            return Outcome(status=DONE, value=left)
        return left


class DurableReading(Reading):
    """The same, in the ledger."""

    accepts = frozenset({"command"})
    capabilities = Capabilities(find=True, durable=True)


TORN = pickle.dumps("whole")[:-3]


@pytest.mark.parametrize(
    ("left", "why"),
    [
        (TORN, "what came of it cannot be read: UnpicklingError: pickle data was truncated"),
        ({"no": "outcome"}, "collect() gave {'no': 'outcome'}, and not an Outcome"),
        (Outcome(status=JobStatus.RUNNING), "and not an Outcome with a final status"),
    ],
    ids=["torn", "no outcome", "not final"],
)
def test_other_jobs_are_told_of_their_own_end(left: Any, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reading, "left", {"n0": pickle.dumps(1), "n1": left, "n2": pickle.dumps(3)})
    backend = Reading.make()
    jobs = backend.map(abs, [1, 2, 3])
    for native_id in ("n0", "n1", "n2"):
        backend.say(native_id, DONE)
    assert set(as_completed(jobs, timeout=LONG)) == set(jobs)
    assert [job.status() for job in jobs] == [DONE, ERROR, DONE]
    assert (jobs[0].result(), jobs[2].result()) == (1, 3)
    assert jobs[1].outcome().reason == "lost"
    assert why in jobs[1].outcome().message
    with pytest.raises(JobFailedError, match="cannot be read"):
        jobs[1].result()


def test_one_that_still_runs_is_not_ended_by_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that the engine has not seen this time, nobody can say that it has ended."""
    monkeypatch.setattr(Reading, "left", {"n0": pickle.dumps(1), "n1": TORN})
    backend = Reading.make(grace=LONG)
    jobs = backend.map(abs, [1, 2])
    backend.say("n0", DONE)
    assert next(as_completed(jobs, timeout=LONG)) == jobs[0]
    assert jobs[1]._record.outcome is None


def test_a_value_that_the_ledger_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpicklable = Outcome(status=DONE, value=(number for number in range(3)))
    fine = Outcome(status=DONE, exit_code=0)
    monkeypatch.setattr(DurableReading, "left", {"n0": fine, "n1": unpicklable})
    registry = Registry()
    registry.register_backend("reading", DurableReading)
    with Session(registry=registry, state=tmp_path / "state") as session:
        backend: Any = session.get_backend("reading")
        jobs = backend.run_many([Command(["true"])] * 2)
        for native_id in ("n0", "n1"):
            backend.say(native_id, DONE)
        assert set(as_completed(jobs, timeout=LONG)) == set(jobs)
        assert [job.status() for job in jobs] == [DONE, ERROR]
        assert "cannot be kept" in jobs[1].outcome().message
        ids = [job.job_id() for job in jobs]
    with Session(registry=registry, state=tmp_path / "state") as session:
        assert [session.get_job(job_id).status() for job_id in ids] == [DONE, ERROR]


def test_a_damaged_outcome_in_the_ledger(local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        backend = session.get_backend("local")
        jobs = backend.map(abs, [1, 2, 3], name="damaged")
        assert len(list(as_completed(jobs, timeout=LONG))) == 3
        damaged = jobs[1].job_id()
        session.ledger.file.write(
            lambda db: db.execute("UPDATE jobs SET outcome = ? WHERE id = ?", (b"\xc1", damaged))
        )
    with Session(state=local_cli) as session:
        again = session.jobs(name="damaged")
        assert len(list(as_completed(again, timeout=LONG))) == 3
        assert (again[0].result(), again[2].result()) == (1, 3)
        with pytest.raises(JobFailedError, match="cannot be read"):
            again[1].result()
    shown = invoke("show", damaged)
    assert (shown.exit_code, "cannot be read" in shown.stdout) == (0, True)


def test_a_table_of_results_shows_those_that_can_be_read(
    local_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "readings.py").write_text(
        "class Bad:\n"
        "    def __reduce__(self):\n"
        "        return int, ('no number',)\n"
        "def read(n):\n"
        "    return Bad() if n == 2 else n * 10\n"
    )
    (tmp_path / "jobs.toml").write_text(
        '[python]\ncall = "readings:read"\nargs = ["{n}"]\n[matrix]\nn = [1, 2, 3]\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    done = invoke("run", "jobs.toml")
    set_default_session(None)
    assert done.exit_code == 1
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["1", "DONE", "10"],
        ["2", "ERROR"],
        ["3", "DONE", "30"],
    ]
    assert "and its result cannot be read here: ValueError: invalid literal for int()" in done.stderr


class Moving(ScriptedEngine):
    """An engine that answers from memory, whose jobs run from the first question on."""

    floor = 0.0

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        seen = super().observe(tickets)
        for native_id in self.seen:
            self.say(native_id, JobStatus.RUNNING)
        return seen


def test_a_wait_in_vain_says_where_the_job_is() -> None:
    """qiskit-ibm-runtime#1547: QUEUED was said of a job that runs."""
    backend = Moving.make()
    (job,) = backend.map(abs, [1])
    backend.say("n0", JobStatus.QUEUED)
    with pytest.raises(JobTimeoutError, match=r"still RUNNING\)"):
        job.result(timeout=0.01)


def test_a_handle_says_when_it_was_told_so(clock: ManualClock) -> None:
    (job,) = Moving.make().map(abs, [1])
    assert repr(job).endswith("QUEUED, abs(1)) on engine>")
    clock.now += 60
    assert repr(job).endswith("QUEUED 60 s ago, abs(1)) on engine>")
    job._record.tracker.settle(job._record, Outcome(status=DONE))
    assert repr(job).endswith("DONE, abs(1)) on engine>")


def test_of_a_job_found_again_nobody_knows_when(tmp_path: Path) -> None:
    registry = Registry()
    registry.register_backend("reading", DurableReading)
    with Session(registry=registry, state=tmp_path / "state") as session:
        job_id = session.get_backend("reading").run(Command(["true"])).job_id()
    with Session(registry=registry, state=tmp_path / "state") as session:
        assert "QUEUED when last looked at, true)" in repr(session.get_job(job_id))

"""Jobs of `local` that start after others: what becomes of them, and what their users are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running, until

from anyjob import Call, Command, DependencyFailedError, Executor, JobStatus
from anyjob.errors import (
    CommandFailedError,
    JobCancelledError,
    JobNotFoundError,
    SpecError,
    UnsupportedSpecError,
)
from anyjob.ledger.rows import FINAL


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local")) as made:
            yield made


class Gate:
    """A file that jobs wait for, until a test opens it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "gate"
        os.mkfifo(self._path)
        self._end = os.open(self._path, os.O_RDWR)

    def job(self, code: int = 0) -> Command:
        return Command(["sh", "-c", f"read -r line < '{self._path}'; exit {code}"])

    def open(self) -> None:
        os.write(self._end, b"go\n")

    def close(self) -> None:
        os.close(self._end)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.close()


def test_a_job_starts_after_another_has_succeeded(local: Local, gate: Gate) -> None:
    first = local.backend.run(gate.job(), name="gated")
    behind = local.backend.run(Command(["echo", "hello"]), after=[first])
    last = local.backend.run(len, "abc", after=behind)
    assert behind.status() is last.status() is JobStatus.QUEUED
    assert behind.metadata()["message"] == f"waits for {first.job_id()[:7]} (gated)"
    gate.open()
    assert last.result(30) == 3
    assert behind.result(30).stdout.text() == "hello\n"
    outcomes = [job.outcome() for job in (first, behind, last)]
    times = [(one.started or 0.0, one.finished or 0.0) for one in outcomes]
    assert times[0][1] <= times[1][0] <= times[1][1] <= times[2][0]


def test_a_failure_ends_what_needs_it_and_is_the_cause(local: Local, gate: Gate) -> None:
    first = local.backend.run(gate.job(3), name="fit")
    behind = local.backend.run(Command(["true"]), after=first)
    last = local.backend.run(Command(["true"]), after=behind)
    clean_up = local.backend.run(Command(["true"]), after_end=[first, last])
    mend = local.backend.run(Command(["true"]), after_failure=first)
    gate.open()
    with pytest.raises(
        DependencyFailedError, match=f"job {first.job_id()} .fit. failed .exit-code"
    ) as caught:
        last.result(30)
    assert f"by way of {behind.job_id()}" in str(caught.value)
    assert caught.value.reason == "dependency"
    assert caught.value.prerequisite == first.job_id()
    cause = caught.value.__cause__
    assert isinstance(cause, CommandFailedError)
    assert cause.exit_code == 3
    assert isinstance(behind.exception(30), DependencyFailedError)
    assert clean_up.result(30).exit_code == mend.result(30).exit_code == 0
    late = local.backend.run(Command(["true"]), after=last)
    assert isinstance(late.exception(30), DependencyFailedError), (
        "whether it ends before or after makes no odds"
    )
    assert late.outcome().started is None
    environments = local.session.ledger.state / "env"
    until(lambda: not any(environments.iterdir()), "no environment is kept of what has ended")


def test_a_cancel_goes_down_the_graph(local: Local, gate: Gate) -> None:
    first = local.backend.run(gate.job())
    behind = local.backend.run(Command(["true"]), after=first)
    last = local.backend.run(Command(["true"]), after=behind)
    anyway = local.backend.run(Command(["true"]), after_end=behind)
    until(first.running, "it runs")
    assert behind.cancel()
    assert behind.status() is JobStatus.CANCELLED
    assert anyway.result(30).exit_code == 0, "the end of what was cancelled is an end"
    with pytest.raises(DependencyFailedError, match="was cancelled") as caught:
        last.result(30)
    assert isinstance(caught.value.__cause__, JobCancelledError)
    assert not first.in_final_state()
    gate.open()
    first.result(30)


def test_a_cancel_that_does_not_go_down_the_graph(local: Local, gate: Gate) -> None:
    first, other = local.backend.run(gate.job(), name="fit"), local.backend.run(gate.job())
    alone = local.backend.run(Command(["echo", "alone"]), after=first)
    both = local.backend.run(Command(["echo", "both"]), after=[first, other])
    mend = local.backend.run(Command(["echo", "mended"]), after_failure=first)
    assert first.cancel(downstream=False)
    assert [one.result(30).stdout.text() for one in (alone, mend)] == ["alone\n", "mended\n"]
    assert both.status() is JobStatus.QUEUED
    assert both.metadata()["message"] == f"waits for {other.job_id()[:7]}"
    gate.open()
    assert both.result(30).stdout.text() == "both\n"


def test_what_waits_may_be_held(local: Local, gate: Gate) -> None:
    first = local.backend.run(gate.job())
    behind = local.backend.run(Command(["true"]), after=first)
    assert local.session.hold([behind]) == [True]
    gate.open()
    first.result(30)
    local.backend.run(Command(["true"]), after=first).result(30)
    assert behind.status() is JobStatus.QUEUED, "what it waited for has ended, and it is held"
    assert local.session.release([behind]) == [True]
    assert behind.result(30).exit_code == 0


def test_each_item_may_have_its_own(local: Local, gate: Gate) -> None:
    backend = local.backend
    gated = backend.run(gate.job())
    fits = backend.map(abs, [-1, -2, -3], after=gated)
    checked = backend.map(abs, [-4, -5, -6], after=lambda index: fits[index])
    named = backend.run_many(
        [Call(abs, (-7,)), Call(abs, (-8,))], name=["a", "b"], after=lambda index: checked[index:]
    )
    assert {job.status() for job in (*fits, *checked, *named)} == {JobStatus.QUEUED}
    for job, needed in zip(checked, fits, strict=True):
        assert [one.job_id for one in local.session.ledger.dependencies.prerequisites(job.job_id())] == [
            needed.job_id()
        ]
    assert len(local.session.ledger.dependencies.prerequisites(named[0].job_id())) == 3
    gate.open()
    assert [job.result(30) for job in (*fits, *checked, *named)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_ids_names_and_handles_mean_jobs(local: Local) -> None:
    backend, ledger = local.backend, local.session.ledger
    one, two = backend.run_many([Command(["true"])] * 2, name="evaluation")
    job = backend.run(Command(["true"]), after=["evaluation", two], after_end=one.job_id()[:9])
    needed = [(each.job_id, each.condition) for each in ledger.dependencies.prerequisites(job.job_id())]
    assert sorted(needed) == sorted([(one.job_id(), 0), (two.job_id(), 0), (one.job_id(), 1)])
    with pytest.raises(JobNotFoundError, match="did you mean 'evaluation'"):
        backend.run(Command(["true"]), after="evaluatoin")
    with pytest.raises(SpecError, match="after_end takes jobs, ids or names, not 3"):
        backend.run(Command(["true"]), after_end=3)
    for wrong in ({"evaluation": one}, b"evaluation"):
        with pytest.raises(SpecError, match="after takes jobs, ids or names, not "):
            backend.run(Command(["true"]), after=wrong)
    assert backend.run(Command(["true"]), after=None, after_end=[]).result(30).exit_code == 0


@pytest.mark.parametrize("kind", ["local", "threads"])
def test_futures_mean_their_jobs(local: Local, kind: str) -> None:
    backend: Any = local.backend if kind == "local" else local.session.get_backend(kind)
    with Executor(backend) as executor:
        fine, fails = executor.submit(len, "abc"), executor.submit(int, "none")
        assert backend.run(len, "a", after=fine).result(30) == 1
        assert backend.run(len, "a", after=[fine], after_failure=fails).result(30) == 1
        assert backend.run(len, "a", after=[fine, fails]).outcome(30).reason == "dependency"


def test_nothing_starts_after_what_the_ledger_does_not_have(local: Local) -> None:
    threads = local.session.get_backend("threads")
    here = threads.run(abs, -1)
    with pytest.raises(UnsupportedSpecError, match="is not in the ledger"):
        local.backend.run(abs, -2, after=here)
    there = local.backend.run(abs, -2)
    assert threads.run(abs, -3, after=there).result(60) == 3


def test_what_waits_starts_though_its_client_and_the_supervisor_are_gone(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path) as own:
        first = own.backend.run(gate.job())
        behind = own.backend.run(Command(["true"]), after=first)
        job_id = behind.job_id()
        until(first.running, "it runs")
        own.session.close()
        own.kill("supervisor")
        gate.open()
        until(lambda: own.supervisor is not None, "the keeper has started the next one")
        with own.another() as other:
            until(lambda: other.ledger.rows([job_id])[job_id].state >= FINAL, "nobody need ask for it")
            assert other.get_job(job_id).result(30).exit_code == 0


def test_the_end_of_a_job_of_another_backend_starts_what_waits(local: Local) -> None:
    from support.ledgers import DONE, add, backend

    ledger = local.session.ledger
    ids = add(ledger, 2, number=backend(ledger, "cluster", type="cluster", host=""))
    heard = local.backend.run(Command(["true"]), after=ids[0])
    unheard = local.backend.run(Command(["true"]), after=ids[1])
    effects = ledger.settle({ids[0]: DONE})
    local.session.services.advance(effects)
    assert heard.result(30).exit_code == 0
    ledger.settle({ids[1]: DONE})  # by a process that is killed before it can tell
    assert unheard.result(30).exit_code == 0


def test_a_plain_backend_does_not_ignore_what_a_job_is_to_start_after() -> None:
    from anyjob.session.backends.plain_backend import _refuse_prerequisites

    def ignores(circuits: Any, **options: Any) -> None:
        raise AssertionError

    def knows(circuits: Any, after: Any = None) -> None:
        raise AssertionError

    _refuse_prerequisites("heron", knows, {"after": 1})
    _refuse_prerequisites("heron", ignores, {"shots": 1})
    with pytest.raises(UnsupportedSpecError, match="backend 'heron' cannot start a job after others"):
        _refuse_prerequisites("heron", ignores, {"after": 1})

"""Calls that take results of others, which stay in the cluster on their way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import dask_calls
import dask_lab
import numpy as np
import pytest
from anyjob_dask.backend import DaskBackend
from support import gated_calls
from support.dropped_edges import check_start_without_what_is_cancelled
from support.gated_calls import after, fails, gate_in, opened
from support.waiting import wait_until

import anyjob
from anyjob import Call, Command, DependencyFailedError, JobStatus
from conftest import Make

cloudpickle.register_pickle_by_value(dask_calls)
cloudpickle.register_pickle_by_value(gated_calls)
cloudpickle.register_pickle_by_value(sys.modules[__name__])
PATIENCE = 60.0
Labs = Callable[..., dask_lab.Lab]


@pytest.fixture(params=["thread", "process", "durable"])
def backend(request: pytest.FixtureRequest, make: Make, lab: dask_lab.Lab) -> DaskBackend:
    isolation = "thread" if request.param == "thread" else "process"
    return make(address=lab.address, durable=request.param == "durable", isolation=isolation)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    with gate_in(tmp_path) as made:
        yield made


def doubled(given: Any) -> Any:
    given *= 2
    return given


def test_a_call_is_with_the_cluster_before_what_it_takes_has_ended(
    backend: DaskBackend, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backend.run(after, gate, np.ones(1_000_000), name="fit")
    jobs = [
        backend.run(doubled, first),
        backend.run(Call(doubled, (), {"given": first})),
        backend.run(len, [first, first]),
    ]
    last = backend.run(doubled, jobs[0])
    assert all(job.native_id() for job in [*jobs, last]), [job.outcome(0) for job in [first, *jobs, last]]
    assert {job.status() for job in [*jobs, last]} == {JobStatus.QUEUED}
    words = f"waits for {jobs[0].job_id()[:7]}"
    wait_until(lambda: last.status() and last.metadata()["message"] == words, "the words of a job that waits")
    monkeypatch.setattr(backend._connection, "scatter", None)
    opened(gate)
    assert float(last.result(PATIENCE)[0]) == 4
    assert [float(job.result()[0]) for job in (first, *jobs[:2], last)] == [1, 2, 2, 4], "each has its own"
    assert jobs[2].result() == 2


def test_what_needs_a_call_that_fails_ends_with_it_as_the_cause(backend: DaskBackend, gate: Path) -> None:
    first = backend.run(fails, gate, name="fit")
    behind = backend.run(doubled, first, name="double")
    last = backend.run(doubled, [behind, anyjob.lazy(first)])
    opened(gate)
    with pytest.raises(
        DependencyFailedError, match=r"\(fit\) failed .exception: ValueError: too cold"
    ) as told:
        last.result(PATIENCE)
    assert f"by way of {behind.job_id()} (double)" in str(told.value)
    assert told.value.prerequisite == first.job_id()
    assert isinstance(told.value.__cause__, ValueError)


def touched(path: Path, later: Any) -> None:
    path.touch()


def test_nothing_is_called_that_would_ask_later_for_a_result_that_there_is_not(
    backend: DaskBackend, gate: Path, tmp_path: Path
) -> None:
    first = backend.run(fails, gate, name="fit")
    behind = backend.run(touched, tmp_path / "ran", anyjob.lazy(first))
    opened(gate)
    assert behind.outcome(PATIENCE).reason == "dependency"
    assert not (tmp_path / "ran").exists()


def test_a_cancel_goes_down_the_graph(make: Make, own_lab: Labs, tmp_path: Path, gate: Path) -> None:
    lab = own_lab(("--nthreads", "1"))
    lab.wait()
    backend = make(address=lab.address, durable=False)
    running = backend.run(after, gate, 1)
    waiting = backend.run(dask_calls.note, str(tmp_path / "ran"))
    needs = [backend.run(doubled, waiting), backend.run(doubled, running)]
    last = backend.run(doubled, needs)
    wait_until(running.running, "a job that runs")
    assert waiting.cancel()
    with pytest.raises(DependencyFailedError, match=f"job {waiting.job_id()} was cancelled") as told:
        last.result(PATIENCE)
    assert told.value.prerequisite == waiting.job_id()
    assert running.cancel()
    assert needs[1].outcome(PATIENCE).reason == "dependency"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("durable", [False, True])
def test_what_needs_a_result_that_is_lost_ends_and_says_so(
    anyjob_open: Callable[..., anyjob.Session], own_lab: Labs, tmp_path: Path, gate: Path, durable: bool
) -> None:
    lab = own_lab(("--nthreads", "1", "--name", "first"), ("--nthreads", "1", "--name", "second"))
    lab.wait()
    options = {"type": "dask", "address": lab.address, "durable": durable, "isolation": "thread"}
    session = anyjob_open({"backends": {"lab": options}})
    backend: Any = session.get_backend("lab")
    here, there = ({"dask": {"workers": [name]}} for name in ("first", "second"))
    held = backend.run(dask_calls.note_and_return, str(tmp_path / "ran"), 1_000_000, options=here)
    slow = backend.run(after, gate, 2, options=there)
    needs = backend.run(len, [held, slow], options=there)
    last = backend.run(abs, needs, options=there)
    assert held.outcome(PATIENCE).status is JobStatus.DONE
    wait_until(slow.running, "a job that runs")
    os.killpg(lab.workers[0].pid, signal.SIGKILL)
    told = f"result of job {held.job_id()} was lost with the worker that held it"
    if durable:  # what was fetched is stored: they begin anew with that, once all else is there
        for job in (needs, last):
            wait_until(lambda job=job: job.status() and len(job.attempts()) == 2, "that they go again")
        opened(gate)
        assert (needs.result(PATIENCE), last.result(PATIENCE)) == (2, 2)
        assert [told in job.attempts()[0].message for job in (needs, last)] == [True, True]
        assert [each.followed_by for each in last.attempts()] == ["dependency", ""]
    else:
        assert told in needs.outcome(PATIENCE).message
        for job in (needs, last):
            outcome = job.outcome(PATIENCE)
            assert (outcome.reason, outcome.lost_result) == ("dependency", held.job_id())
        opened(gate)
    assert slow.result(PATIENCE) == 2
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_a_worker_that_dies_with_a_call_ends_what_needs_that(make: Make, own_lab: Labs, gate: Path) -> None:
    lab = own_lab(("--nthreads", "1"))
    lab.wait()
    backend = make(address=lab.address, durable=False, isolation="thread")
    first = backend.run(after, gate, 1)
    last = backend.run(doubled, backend.run(doubled, first))
    wait_until(first.running, "a job that runs")
    os.killpg(lab.workers[0].pid, signal.SIGKILL)
    assert first.outcome(PATIENCE).reason == "node-failure"
    with pytest.raises(DependencyFailedError, match=f"job {first.job_id()} failed .node-failure: its worker"):
        last.result(PATIENCE)


def test_the_cluster_keeps_a_result_as_long_as_somebody_open_needs_it(
    backend: DaskBackend, lab: dask_lab.Lab, gate: Path
) -> None:
    job: Any = backend.run(after, gate, bytes(1_000_000), name="fit")
    keys = [job.native_id()]
    for _ in range(3):
        job = backend.run(bytes.upper, job)
        keys.append(job.native_id())
    opened(gate)
    assert job.result(PATIENCE) == bytes(1_000_000)
    late = backend.run(len, job)
    assert late.result(PATIENCE) == 1_000_000
    del job, late
    with lab.client() as client:
        wait_until(lambda: not set(keys).intersection(client.who_has()), "a cluster that keeps none of them")


def test_what_starts_after_others_is_with_the_cluster_at_once(
    backend: DaskBackend, gate: Path, tmp_path: Path
) -> None:
    first = backend.run(after, gate, np.ones(1_000_000), name="fit")
    program: Any = backend.run(Command(["echo", "hi"]), after=first)
    last = backend.run(touched, tmp_path / "ran", backend.run(abs, -1, after=first), after=[program, first])
    assert all(job.native_id() for job in (program, last))
    assert {job.status() for job in (program, last)} == {JobStatus.QUEUED}
    words = f"waits for {first.job_id()[:7]}"
    wait_until(
        lambda: program.status() and program.metadata()["message"] == words, "the words of one that waits"
    )
    assert not (tmp_path / "ran").exists()
    opened(gate)
    assert last.outcome(PATIENCE).status is JobStatus.DONE
    assert (tmp_path / "ran").exists()
    assert program.result().stdout.text() == "hi\n"


def test_what_starts_after_a_failure_ends_with_it_as_the_cause(
    backend: DaskBackend, gate: Path, tmp_path: Path
) -> None:
    first = backend.run(fails, gate, name="fit")
    program = backend.run(Command(["touch", str(tmp_path / "ran")]), after=first, name="report")
    last = backend.run(touched, tmp_path / "ran", None, after=program)
    other = backend.run(Command(["sh", "-c", "exit 3"]), after_failure=first)
    behind = backend.run(touched, tmp_path / "ran", None, after=other)
    opened(gate)
    why = f"job {first.job_id()} failed .exception: ValueError: too cold.*by way of {program.job_id()}"
    with pytest.raises(DependencyFailedError, match=why) as told:
        last.result(PATIENCE)
    assert told.value.prerequisite == first.job_id()
    assert f"job {other.job_id()} failed (exit-code" in behind.outcome(PATIENCE).message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("durable", [False, True])
def test_what_waits_no_more_for_a_job_that_is_cancelled_starts_without_it(
    anyjob_open: Callable[..., anyjob.Session], own_lab: Labs, tmp_path: Path, gate: Path, durable: bool
) -> None:
    lab = own_lab(("--nthreads", "1"))
    lab.wait()
    options = {"type": "dask", "address": lab.address, "durable": durable, "isolation": "process"}
    backend: Any = anyjob_open({"backends": {"lab": options}}).get_backend("lab")
    running = backend.run(after, gate, 1)
    waiting = backend.run(dask_calls.note, str(tmp_path / "ran"))
    check_start_without_what_is_cancelled(backend, running, waiting, doubled, gate, PATIENCE)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("durable", [False, True])
def test_a_result_that_nobody_takes_may_be_lost(
    anyjob_open: Callable[..., anyjob.Session], own_lab: Labs, tmp_path: Path, gate: Path, durable: bool
) -> None:
    lab = own_lab(("--nthreads", "1", "--name", "first"), ("--nthreads", "1", "--name", "second"))
    lab.wait()
    options = {"type": "dask", "address": lab.address, "durable": durable, "isolation": "thread"}
    backend: Any = anyjob_open({"backends": {"lab": options}}).get_backend("lab")
    here, there = ({"dask": {"workers": [name]}} for name in ("first", "second"))
    held = backend.run(dask_calls.note_and_return, str(tmp_path / "ran"), 10, options=here)
    slow = backend.run(after, gate, 2, options=there)
    behind = backend.run(abs, -1, after=[held, slow], options=there)
    last = backend.run(abs, behind, options=there)
    wait_until(lambda: held.status() is JobStatus.DONE, "a job that has ended")
    wait_until(slow.running, "a job that runs")
    os.killpg(lab.workers[0].pid, signal.SIGKILL)
    for job in (behind, last):
        wait_until(lambda job=job: job.status() and len(job.attempts()) == 2, "that they begin anew")
    opened(gate)
    assert (behind.result(PATIENCE), last.result(PATIENCE), slow.result(PATIENCE)) == (1, 1, 2)
    assert (tmp_path / "ran").read_text() == "ran\n"

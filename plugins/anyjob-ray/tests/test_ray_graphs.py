"""Calls that take results of others, which stay in Ray's object store on their way."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import ray
import ray_lab
from anyjob_ray.backend import RayBackend
from anyjob_ray.worker.results_as_arguments import load_with_results, unmet
from support import gated_calls
from support.dropped_edges import check_start_without_what_is_cancelled
from support.gated_calls import after, fails, gate_in, opened
from support.waiting import wait_until

import anyjob
from anyjob import Call, Command, DependencyFailedError, JobStatus
from conftest import Make

cloudpickle.register_pickle_by_value(gated_calls)
cloudpickle.register_pickle_by_value(sys.modules[__name__])
PATIENCE = 60.0


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    with gate_in(tmp_path) as made:
        yield made


def dies(gate: Path) -> None:
    gate.read_bytes()
    os._exit(3)


def noted(path: str, size: int) -> bytes:
    with open(path, "a") as stream:
        stream.write("ran\n")
    return bytes(size)


def doubled(given: Any) -> Any:
    return given * 2


def test_a_call_is_with_the_cluster_before_what_it_takes_has_ended(
    backend: RayBackend, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backend.run(after, gate, np.ones(1_000_000), name="fit")
    jobs = [
        backend.run(doubled, first),
        backend.run(Call(doubled, (), {"given": first})),
        backend.run(len, [first, first]),
    ]
    last = backend.run(doubled, jobs[0])
    assert all(job.native_id() for job in [*jobs, last])
    assert {job.status() for job in [*jobs, last]} == {JobStatus.QUEUED}
    words = f"waits for {jobs[0].job_id()[:7]}"
    wait_until(lambda: last.status() and last.metadata()["message"] == words, "the words of a job that waits")
    opened(gate)
    assert float(last.result(PATIENCE)[0]) == 4
    assert [float(job.result(PATIENCE)[0]) for job in (first, *jobs[:2])] == [1, 2, 2]
    assert jobs[2].result(PATIENCE) == 2
    late = backend.run(doubled, last)
    assert float(late.result(PATIENCE)[0]) == 8
    many = backend.map(doubled, [late] * 20)
    assert {float(job.result(PATIENCE)[0]) for job in many} == {16}


def test_what_needs_a_call_that_fails_ends_with_it_as_the_cause(
    backend: RayBackend, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does Ray cancel it: that ended this process where its task was on the way to a worker by then."""
    cancelled: list[Any] = []
    monkeypatch.setattr(ray, "cancel", lambda *given, **how: cancelled.append(given))
    first = backend.run(fails, gate, name="fit")
    behind = backend.run(doubled, first, name="double")
    last = backend.run(doubled, [anyjob.lazy(first), behind])
    opened(gate)
    with pytest.raises(
        DependencyFailedError, match=rf"job {first.job_id()}( .fit.)? failed .exception: Val"
    ) as told:
        last.result(PATIENCE)
    assert told.value.prerequisite == first.job_id()
    assert isinstance(told.value.__cause__, ValueError)
    assert cancelled == []


def test_nothing_is_called_that_would_ask_later_for_a_result_that_there_is_not() -> None:
    """A lazy argument: the worker looks at all results that the call may ask for before it calls."""
    given = {
        "fit": pickle.dumps({"status": "ERROR", "reason": "signal"}),
        "mean": pickle.dumps({"status": "DONE", "value": pickle.dumps(3)}),
    }
    arguments = pickle.dumps(((), {}))
    with pytest.raises(Exception, match=r"job fit failed .signal"):
        load_with_results(arguments, (), given)
    del given["fit"]
    assert load_with_results(arguments, (), given) == ((), {})


def test_a_cancel_goes_down_the_graph(backend: RayBackend, gate: Path, tmp_path: Path) -> None:
    cpus = int(ray.cluster_resources()["CPU"])
    running = backend.run(after, gate, 1, cpus=cpus)
    waiting = backend.run((tmp_path / "ran").touch, cpus=cpus)
    needs = [backend.run(doubled, waiting), backend.run(doubled, running)]
    last = backend.run(doubled, needs[0])
    wait_until(running.running, "a job that runs")
    assert waiting.cancel()
    with pytest.raises(DependencyFailedError, match=f"job {waiting.job_id()} was cancelled") as told:
        last.result(PATIENCE)
    assert told.value.prerequisite == waiting.job_id()
    assert running.cancel()
    assert needs[1].outcome(PATIENCE).reason == "dependency"
    assert not (tmp_path / "ran").exists()


def test_a_worker_that_dies_with_a_call_ends_what_needs_that(backend: RayBackend, gate: Path) -> None:
    first = backend.run(dies, gate, name="fit")
    behind = backend.run(doubled, first)
    last = backend.run(doubled, behind)
    opened(gate)
    assert first.outcome(PATIENCE).reason == "signal"
    with pytest.raises(
        DependencyFailedError, match=f"job {first.job_id()} failed .signal: the worker"
    ) as told:
        last.result(PATIENCE)
    assert told.value.prerequisite == first.job_id()


def test_what_was_to_take_a_result_that_is_lost_begins_anew_with_what_is_stored(
    anyjob_open: Callable[..., anyjob.Session], connected: ray_lab.Cluster, gate: Path, tmp_path: Path
) -> None:
    """It dies with the node that holds it: where jobs are durable, what was fetched before is stored."""
    modes = ("fast", "durable")
    options = {"type": "ray", "address": connected.address, "autoscales": True}
    session = anyjob_open({"backends": {mode: {**options, "mode": mode} for mode in modes}})
    backends: list[Any] = [session.get_backend(mode) for mode in modes]
    with connected.another_node("lost", cpus=1) as kill:
        there = {"ray": {"resources": {"lost": 1}}}
        held = [each.run(noted, str(tmp_path / each.name()), 1_000_000, options=there) for each in backends]
        slow = [each.run(after, gate, 2) for each in backends]
        needs = [each.run(len, taken) for each, *taken in zip(backends, held, slow, strict=True)]
        last = [each.run(abs, needed) for each, needed in zip(backends, needs, strict=True)]
        assert [job.result(2 * PATIENCE) for job in held] == [bytes(1_000_000)] * 2
        # What was fetched has left a copy here, which Ray drops only where it needs the room.
        filling = [ray.put(np.ones(ray_lab.MEMORY // 80)) for _ in range(11)]
        kill()
        del filling
    opened(gate)
    if all(job.outcome(2 * PATIENCE).status is JobStatus.DONE for job in needs):
        pytest.skip("Ray has kept its copies: nothing was lost")
    told = [f"the result of job {job.job_id()} was lost by Ray" for job in held]
    for job in (needs[0], last[0]):
        outcome = job.outcome(2 * PATIENCE)
        assert (outcome.reason, outcome.lost_result) == ("dependency", held[0].job_id())
        assert told[0] in job.outcome().message
        assert "(submit both anew)" in job.outcome().message
    for job in (needs[1], last[1]):
        assert job.result(2 * PATIENCE) == 2
        assert [each.followed_by for each in job.attempts()] == ["dependency", ""]
        assert told[1] in job.attempts()[0].message
        assert f"'anyjob rerun --downstream {held[1].job_id()}'" in job.attempts()[0].message
    assert [(tmp_path / mode).read_text() for mode in modes] == ["ran\n"] * 2


def test_ray_keeps_a_result_as_long_as_somebody_open_needs_it(backend: RayBackend, gate: Path) -> None:
    if backend.is_durable:
        pytest.skip("the task owner keeps results for a while")
    before = ray.available_resources().get("object_store_memory", 0.0)
    job: Any = backend.run(after, gate, bytes(50_000_000))
    for _ in range(3):
        job = backend.run(bytes.upper, job)
    opened(gate)
    assert len(job.result(PATIENCE)) == 50_000_000
    del job

    def used() -> float:
        return before - ray.available_resources().get("object_store_memory", 0.0)

    wait_until(lambda: used() < 50_000_000, "an object store that keeps nothing")


def test_what_starts_after_others_is_with_the_cluster_at_once(
    backend: RayBackend, gate: Path, tmp_path: Path
) -> None:
    first = backend.run(after, gate, np.ones(1_000_000), name="fit")
    program: Any = backend.run(Command(["echo", "hi"]), after=first)
    count = backend.run(len, first, after=program)
    last = backend.run((tmp_path / "ran").touch, after=[program, first, count])
    assert all(job.native_id() for job in (program, count, last))
    assert {job.status() for job in (program, last)} == {JobStatus.QUEUED}
    words = f"waits for {first.job_id()[:7]}"
    wait_until(
        lambda: program.status() and program.metadata()["message"] == words, "the words of one that waits"
    )
    assert not (tmp_path / "ran").exists()
    opened(gate)
    assert last.outcome(PATIENCE).status is JobStatus.DONE
    assert (tmp_path / "ran").exists()
    assert count.result(PATIENCE) == 1_000_000
    assert program.result(PATIENCE).stdout.text() == "hi\n"


def test_what_starts_after_a_failure_ends_with_it_as_the_cause(
    backend: RayBackend, gate: Path, tmp_path: Path
) -> None:
    first = backend.run(fails, gate, name="fit")
    program = backend.run(Command(["touch", str(tmp_path / "ran")]), after=first, name="report")
    last = backend.run((tmp_path / "ran").touch, after=program)
    other = backend.run(Command(["sh", "-c", "exit 3"]), after_failure=first)
    behind = backend.run((tmp_path / "ran").touch, after=other)
    opened(gate)
    why = f"job {first.job_id()} failed .exception: ValueError: too cold.*by way of {program.job_id()}"
    with pytest.raises(DependencyFailedError, match=why) as told:
        last.result(PATIENCE)
    assert told.value.prerequisite == first.job_id()
    assert f"job {other.job_id()} failed (exit-code" in behind.outcome(PATIENCE).message
    assert backend.run(abs, -1).result(PATIENCE) == 1, "so nothing is left that was to run"
    assert not (tmp_path / "ran").exists()


def test_what_is_to_start_after_a_failure_is_not_run_by_a_worker_that_it_comes_to() -> None:
    failed = pickle.dumps({"status": "ERROR", "reason": "signal"})
    succeeded = pickle.dumps({"status": "DONE"}), b"a large part"
    assert "job fit failed (signal)" in str(unmet({"mean": succeeded, "fit": failed}))
    assert unmet({"mean": succeeded}) is None


def test_what_waits_no_more_for_a_job_that_is_cancelled_starts_without_it(
    backend: RayBackend, tmp_path: Path, gate: Path
) -> None:
    cpus = int(ray.cluster_resources()["CPU"])
    running = backend.run(after, gate, 1, cpus=cpus)
    waiting = backend.run((tmp_path / "ran").touch, cpus=cpus)
    check_start_without_what_is_cancelled(backend, running, waiting, doubled, gate, PATIENCE)
    assert not (tmp_path / "ran").exists()


def test_what_is_to_start_after_many_is_held_and_run_together(backend: RayBackend, gate: Path) -> None:
    first = backend.run(after, gate, 1)
    jobs = backend.map(abs, range(200), after=first)
    assert {job.native_id() for job in jobs} == {None}
    opened(gate)
    assert [job.result(PATIENCE) for job in jobs] == [*range(200)]


def test_what_starts_after_a_job_that_has_just_ended_is_not_left_to_others(make: Make) -> None:
    backend: Any = make(mode="durable")
    first = backend.run(abs, -1)
    owner = backend._open()._owner
    state = {first.job_id(): "ENDED"}
    wait_until(lambda: owner.ask(lambda it: it.states.remote([first.job_id()])) == state, "the end")
    behind = backend.run(abs, -2, after=first)
    assert behind.native_id(), "it was not left to a releaser"
    assert behind.result(PATIENCE) == 2

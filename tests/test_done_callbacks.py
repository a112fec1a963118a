"""What is called at the end of a job may submit jobs and wait for them, on every kind of backend."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from running_local import Local, running

from anyjob import Call, Executor
from anyjob.tracking.threads.callback_threads import CallbackThreads

LONG = 60


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path) as made:
        yield made


@pytest.mark.parametrize("depth", [1, 4])
def test_a_done_callback_of_a_future_may_submit_and_wait(local: Local, depth: int) -> None:
    results: list[int] = []
    ended = threading.Event()

    def again(future: Any) -> None:
        results.append(future.result())
        if len(results) > depth:
            ended.set()
            return
        following = executor.submit(abs, -1 - future.result())
        following.add_done_callback(again)
        following.result(timeout=LONG)

    with Executor(local.backend) as executor:
        executor.submit(abs, -1).add_done_callback(again)
        assert ended.wait(LONG)
    assert results == list(range(1, depth + 2))


def test_a_done_callback_of_a_job_may_submit_and_wait(local: Local) -> None:
    results: list[int] = []
    ended = threading.Event()

    def again(job: Any) -> None:
        results.append(local.backend.run(Call(abs, (-1 - job.result(),))).result(timeout=LONG))
        ended.set()

    local.backend.run(Call(abs, (-1,))).add_done_callback(again)
    assert ended.wait(LONG)
    assert results == [2]


def test_one_callback_may_wait_for_a_job_that_ended_with_its_own(local: Local) -> None:
    jobs = local.backend.map(abs, range(-20, 0))
    sums: list[int] = []
    ended = threading.Event()

    def add_up(job: Any) -> None:
        sums.append(sum(job.result(timeout=LONG) for job in jobs))
        if len(sums) == 20:
            ended.set()

    for job in jobs:
        job.add_done_callback(add_up)
    assert ended.wait(LONG)
    assert sums == [210] * 20


def test_each_call_is_made_once() -> None:
    threads, gate = CallbackThreads(), threading.Event()
    seen: Queue[int] = Queue()
    threads.put(gate.wait)  # so that all of them wait at a time
    for number in range(100):
        threads.put(partial(seen.put, number))
    gate.set()
    assert sorted(seen.get(timeout=LONG) for _ in range(100)) == list(range(100))
    assert seen.empty()


def test_calls_that_wait_for_later_ones_are_as_many_as_there_are() -> None:
    threads, ended = CallbackThreads(), threading.Event()
    gates = [threading.Event() for _ in range(6)]

    def pass_on(gate: threading.Event, following: threading.Event) -> None:
        assert following.wait(LONG)
        gate.set()

    for gate, following in pairwise(gates):
        threads.put(partial(pass_on, gate, following))
    threads.put(gates[-1].set)
    assert gates[0].wait(LONG)
    threads.put(ended.set)
    assert ended.wait(LONG)

"""What a job asks for is kept or refused: nothing is silently ignored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import running

from anyjob.builtin.inline import InlineBackend
from anyjob.builtin.pool import PoolBackend
from anyjob.builtin.processes import ProcessesBackend
from anyjob.builtin.threads import ThreadsBackend
from anyjob.errors import JobRejectedError, UnsupportedSpecError
from anyjob.specs import Call, Command

PATIENCE = 60.0
POOLS: dict[str, type[PoolBackend]] = {
    "inline": InlineBackend,
    "threads": ThreadsBackend,
    "processes": ProcessesBackend,
}


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> Iterator[PoolBackend]:
    options = {} if request.param == "inline" else {"slots": 2}
    backend = POOLS[request.param].from_options(request.param, options)
    yield backend
    backend.close()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"gpus": 2}, "it asks for 2 gpus, which is not kept to here: leave out gpus, or use a backend that"),
        ({"memory": "8GiB"}, "it asks for 8GiB of memory, which is not kept to here: leave out memory, or"),
        (
            {"nodes": 2},
            "it asks for 2 nodes, and its jobs run on this machine alone: leave nodes out, or use",
        ),
        ({"memory": "1GiB", "gpus": 1}, "1GiB of memory and 1 gpus, .* leave out memory and gpus"),
        ({"cpus": 1000}, "it asks for 1000 cpus, and there are [0-9]+ slots: ask for fewer"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_way_out(
    pool: PoolBackend, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(JobRejectedError, match=message):
        pool.run(Call(pow, (2, 5)), **asked)
    (job,) = pool.run_many([Command(["true"])], **asked)
    assert job.outcome().reason == "rejected"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"gpus": 0.5}, "gives no shares of a GPU: it asks for 0.5 gpus, ask for whole ones, or choose one"),
        ({"gpu_memory": "1GiB"}, "gives no GPUs away by their memory: leave gpu_memory out, or choose one"),
        ({"needs": {"license": 1}}, "counts nothing by name: it needs license, leave needs out, or choose"),
    ],
)
def test_what_a_backend_has_no_word_for_is_refused(
    pool: PoolBackend, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsupportedSpecError, match=message):
        pool.run(Call(pow, (2, 5)), **asked)
    with pytest.raises(UnsupportedSpecError, match=message):
        pool.run_many([Command(["true"])], **asked)


def test_what_is_there_anyway_may_be_asked_for(pool: PoolBackend) -> None:
    assert pool.run(pow, 2, 5, nodes=1, gpus=0, cpus=1).result(PATIENCE) == 32


@pytest.mark.parametrize("name", ["inline", "threads"])
def test_a_call_that_cannot_be_ended_has_no_walltime(name: str) -> None:
    backend = POOLS[name].from_options(name, {})
    with pytest.raises(JobRejectedError, match=r"an end after 1h, which .* leave out walltime"):
        backend.run(pow, 2, 5, walltime="1h")
    assert backend.run(Command(["true"]), walltime="1h").result(PATIENCE).exit_code == 0
    backend.close()


def test_a_job_takes_as_many_slots_as_it_asks_for() -> None:
    backend = ThreadsBackend.from_options("threads", {"slots": 3})
    running, most, lock = 0, [0], threading.Lock()
    full = threading.Event()

    def work(cpus: int) -> int:
        nonlocal running
        with lock:
            running += cpus
            most[0] = max(most[0], running)
        if cpus == 3:
            full.set()
        full.wait(0 if cpus == 3 else 0.002)
        with lock:
            running -= cpus
        return cpus

    asked = [1, 3, 2, 1, 1, 3, 2, 2, 1, 1] * 3
    jobs = backend.map(work, asked, cpus=asked)
    assert [job.result(PATIENCE) for job in jobs] == asked
    assert most[0] <= 3
    backend.close()


def test_two_halves_run_at_the_same_time() -> None:
    backend = ThreadsBackend.from_options("threads", {"slots": 4})
    meet = threading.Barrier(2)
    jobs = backend.map(lambda _: meet.wait(PATIENCE), range(2), cpus=2)
    assert sorted(job.result(PATIENCE) for job in jobs) == [0, 1]
    wide = backend.run(Call(abs, (-1,)), cpus=4)
    assert wide.result(PATIENCE) == 1
    backend.close()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"nodes": 2}, "it asks for 2 nodes, and its jobs run on this machine alone: leave nodes out"),
        ({"memory": "900TiB"}, "it asks for 900TiB of memory, and there are .*: ask for less"),
        ({"needs": {"license": 1}}, "it needs license, and the backend counts nothing by name: set"),
    ],
)
def test_local_refuses_what_is_not_there(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    with running(tmp_path, slots=2) as own, pytest.raises(JobRejectedError, match=message):
        own.backend.run(Command(["true"]), **asked)

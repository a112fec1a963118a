"""Jobs of one ``run_many`` that each have a name, tags and resources of their own."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running
from support.durable_backends import ClusterBackend

import anyjob
from anyjob import Command, Config, JobStatus, Registry, Session
from anyjob.builtin.local import backend as local_backend
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.errors import BackendUnavailableError, JobRejectedError, Refused
from anyjob.orders import Answer, Order

MANY = 100
TRUE = Command(["true"])


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path) as local:
        yield local


def test_as_many_names_cost_no_more_transactions_messages_and_files_than_one(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.backend.run(TRUE).result(60)
    counts: Counter[str] = Counter()

    def counted(where: Any, name: str) -> None:
        real = getattr(where, name)

        def call(*given: Any, **named: Any) -> Any:
            counts[name] += 1
            return real(*given, **named)

        monkeypatch.setattr(where, name, call)

    counted(FrameSocket, "send")
    counted(local_backend, "write_private")
    connection = local.session.ledger.file._connection()
    connection.set_trace_callback(lambda sql: counts.update({"BEGIN": sql.startswith("BEGIN IMMEDIATE")}))
    names = [f"fit-{index}" for index in range(MANY)]
    jobs = local.backend.run_many([TRUE] * MANY, name=names, tags=lambda index: {"seed": str(index)})
    connection.set_trace_callback(None)
    # A message may be sent by who waits, too, and the file that others are names of may have gone meanwhile.
    assert {what: count for what, count in counts.items() if count > 5} == {}
    assert counts["BEGIN"] == 1
    assert counts["write_private"] >= 1
    anyjob.wait(jobs, timeout=60)
    with local.another() as other:
        found = {job.job_id(): job for job in other.jobs()}
    for index, job in enumerate(jobs):
        assert found[job.job_id()].done()
        what = found[job.job_id()].metadata()
        assert (what["name"], what["tags"]) == (names[index], {"seed": str(index)})
    assert list(local.paths.environments.iterdir()) == []


def test_an_environment_is_there_until_the_last_job_of_each_bulk_has_ended(local: Local) -> None:
    """They are names of one file: that of a job which ends early is not that of one which starts late."""
    gate = Command(["sh", "-c", f"read line < {local.fifo}"])
    say = Command(["sh", "-c", "echo $ANYJOB_TEST_SAID"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANYJOB_TEST_SAID", "hello")
        jobs = local.backend.run_many(
            [TRUE, gate, say], name=["early", "gate", "late"], cpus=[1, 2, 1], priority=[2, 1, 0]
        )
    jobs[0].result(60)
    with open(local.fifo, "w") as stream:
        stream.write("go\n")
    assert jobs[2].result(60).stdout.text() == "hello\n"


def test_one_that_is_refused_or_fails_is_not_the_end_of_the_others(local: Local) -> None:
    class Plugin:
        @anyjob.hookimpl
        def anyjob_before_submit(self, resources: Any) -> None:
            if resources.name == "refused":
                raise Refused("not that one")

    local.session.registry.hooks.register(Plugin())
    work = [TRUE, TRUE, Command(["false"]), TRUE]
    jobs = local.backend.run_many(work, name=["a", "refused", "fails", "b"])
    anyjob.wait(jobs, timeout=60)
    assert [job.status().name for job in jobs] == ["DONE", "ERROR", "ERROR", "DONE"]
    assert [job.metadata()["name"] for job in jobs] == ["a", "refused", "fails", "b"]
    assert [job.outcome().reason for job in jobs] == [None, "rejected", "exit-code", None]


def test_what_cannot_be_is_told_before_any_is_submitted(local: Local) -> None:
    with pytest.raises(JobRejectedError, match="would not take the job"):
        local.backend.run_many([TRUE] * 3, name=["a", "b", "c"], memory=[None, 1 << 60, None])
    assert local.session.jobs() == []
    assert list(local.paths.environments.iterdir()) == []


def test_all_are_there_and_run_once_where_the_program_is_killed_when_it_has_written_them_down(
    local: Local, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    code = f"""
import os, signal
from anyjob import Command
backend = local.backend
backend._client.open()
backend.launch = lambda orders: os.kill(os.getpid(), signal.SIGKILL)
backend.run_many([Command(['sh', '-c', 'echo $0 >> {ran}', str(i)]) for i in range(3)], name=['a', 'b', 'c'])
"""
    with local.program(code) as other:
        other.communicate(timeout=60)
        assert other.returncode == -signal.SIGKILL
    jobs = local.session.jobs()
    assert sorted(job.metadata()["name"] for job in jobs) == ["a", "b", "c"]
    anyjob.wait(jobs, timeout=60)
    assert sorted(ran.read_text().split()) == ["0", "1", "2"]


def test_none_is_there_where_the_program_is_killed_before(local: Local) -> None:
    code = """
import os, signal
from anyjob import Command
backend, ledger = local.backend, local.session.ledger
backend._client.open()
add, bulks = ledger.add, []
def added(*given, **named):
    bulks.append(1)
    if len(bulks) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(*given, **named)
ledger.add = added
backend.run_many([Command(['true'])] * 3, name=['a', 'b', 'c'])
"""
    with local.program(code) as other:
        other.communicate(timeout=60)
        assert other.returncode == -signal.SIGKILL
    assert local.session.jobs() == []


class Arrays(ClusterBackend):
    """A scheduler that takes jobs alike at once, and goes away after so many."""

    launches: list[list[Order]]
    left: int

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        self.launches.append(list(orders))
        if len(self.launches) > self.left:
            raise BackendUnavailableError("it is away")
        yield from super().launch(orders)


@pytest.fixture
def arrays(tmp_path: Path) -> Iterator[Arrays]:
    registry = Registry()
    registry.register_backend("arrays", Arrays)
    config = Config.from_dict({"backends": {"arrays": {"type": "arrays", "address": str(tmp_path)}}})
    with Session(config, registry, tmp_path / "state") as session:
        backend = session.get_backend("arrays")
        assert isinstance(backend, Arrays)
        backend.launches, backend.left = [], 9
        yield backend


def test_an_engine_that_takes_only_what_is_alike_is_given_that_together(arrays: Arrays) -> None:
    jobs = arrays.run_many([TRUE] * 4, name=lambda index: f"fit-{index % 2}")
    assert [[order.job_id for order in orders] for orders in arrays.launches] == [
        [jobs[0].job_id(), jobs[2].job_id()],
        [jobs[1].job_id(), jobs[3].job_id()],
    ]
    assert [orders[0].resources.name for orders in arrays.launches] == ["fit-0", "fit-1"]


def test_where_that_engine_goes_away_what_it_had_is_cancelled(arrays: Arrays) -> None:
    arrays.left = 1
    with pytest.raises(BackendUnavailableError, match="it is away"):
        arrays.run_many([TRUE] * 3, name=["a", "b", "c"])
    assert list(arrays.cluster.jobs.values()) == [JobStatus.CANCELLED]
    assert [job.metadata()["name"] for job in arrays.services.jobs(arrays, arrays.cluster.ours).values()] == [
        "a"
    ]

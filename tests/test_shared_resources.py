"""Several backends of `local` on one machine: what the top of the configuration tells of they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from running_local import running, until

from anyjob import Config, Registry, Session
from anyjob.builtin.local.backend import LocalBackend
from anyjob.errors import ConfigError, JobRejectedError
from anyjob.job import JobStatus
from anyjob.specs import Command

PATIENCE = 120.0


def opened(state: Path, resources: dict[str, Any], **backends: Any) -> Session:
    registry = Registry()
    registry.register_backend("local", LocalBackend)
    made = {name: {"type": "local", **options} for name, options in backends.items()}
    return Session(Config.from_dict({"backends": made, "resources": resources}), registry, state)


def alone(directory: Path, seats: int) -> Command:
    """A program that fails where more than so many run at a time."""
    script = (
        'for n in $(seq $2); do if mkdir "$1/$n" 2> /dev/null; then sleep 0.02; rmdir "$1/$n"; exit 0; fi; '
        "done; exit 3"
    )
    return Command(["sh", "-c", script, "sh", str(directory), str(seats)])


@pytest.mark.parametrize(
    ("resources", "asked", "seats"),
    [
        ({"cpus": 2}, {}, 2),
        ({"memory": "1GiB"}, {"memory": "1GiB"}, 1),
        ({"licence": 1}, {"needs": {"licence": 1}}, 1),
    ],
)
def test_two_backends_never_take_more_than_there_is(
    tmp_path: Path, resources: dict[str, Any], asked: dict[str, Any], seats: int
) -> None:
    (tmp_path / "seats").mkdir()
    with (
        running(tmp_path) as own,
        opened(own.state, resources, narrow={"slots": 1}, wide={"slots": 3}) as session,
    ):
        jobs = [
            job
            for name in ("narrow", "wide")
            for job in session.get_backend(name).run_many([alone(tmp_path / "seats", seats)] * 8, **asked)
        ]
        assert [job.result(PATIENCE).exit_code for job in jobs] == [0] * 16


def test_one_that_needs_much_is_not_starved_by_another_backend(tmp_path: Path) -> None:
    """While a job of one backend waits for all cpus, the other backend begins nothing that takes some."""
    with running(tmp_path) as own, opened(own.state, {"cpus": 2}, a={"slots": 2}, b={"slots": 3}) as session:
        first = session.get_backend("a").run(Command(["sh", "-c", f"read x < {own.fifo}"]))
        until(lambda: first.status() is JobStatus.RUNNING, "it runs")
        wide = session.get_backend("b").run(Command(["true"]), cpus=2)
        until(lambda: wide.status() is JobStatus.QUEUED, "it waits")
        stream = session.get_backend("a").run_many([Command(["true"])] * 50)
        with open(own.fifo, "wb", buffering=0) as pipe:
            pipe.write(b"\n")
            assert wide.result(PATIENCE).exit_code == 0
            assert [job.result(PATIENCE).exit_code for job in stream] == [0] * 50
        started = [job.metadata()["started"] for job in (wide, *stream)]
        assert started[0] == min(started)


def test_gpus_belong_to_the_machine(tmp_path: Path) -> None:
    with running(tmp_path) as own, opened(own.state, {}, a={"gpus": 1}, b={"gpus": ["0"]}) as session:
        first = session.get_backend("a").run(Command(["sh", "-c", f"read x < {own.fifo}"]), gpus=1)
        until(lambda: first.status() is JobStatus.RUNNING, "it runs")
        second = session.get_backend("b").run(Command(["true"]), gpus=1)
        without = session.get_backend("b").run(Command(["true"]))
        assert not without.in_final_state() or without.done()
        assert second.status() is JobStatus.QUEUED
        with open(own.fifo, "wb", buffering=0) as pipe:
            pipe.write(b"\n")
            assert second.result(PATIENCE).exit_code == 0


def test_what_all_have_together_is_refused_where_it_is_too_much(tmp_path: Path) -> None:
    with running(tmp_path) as own, opened(own.state, {"cpus": 2, "licence": 1}, a={"slots": 8}) as session:
        backend = session.get_backend("a")
        with pytest.raises(JobRejectedError, match="it asks for 3 cpus, and there are 2"):
            backend.run(Command(["true"]), cpus=3)
        with pytest.raises(JobRejectedError, match="it needs 2 of licence, and there are 1"):
            backend.run(Command(["true"]), needs={"licence": 2})
        with pytest.raises(JobRejectedError, match="does not count; did you mean 'licence'"):
            backend.run(Command(["true"]), needs={"license": 1})


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (2, "resources: expected a table, got integer"),
        ({"cpus": 0}, "resources.cpus: 0 does not do"),
        ({"memory": "2"}, "resources.memory: '2' has no unit"),
        ({"gpus": 2}, "resources.gpus: that is told by itself, as an option of a backend"),
        ({"licence": -1}, "resources.licence: -1 does not do"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, resources: Any, message: str) -> None:
    with opened(tmp_path / "state", resources, a={}) as session:
        with pytest.raises(ConfigError, match=message):
            session.get_backend("a")
        assert any(message in str(problem) for problem in session.config.problems())

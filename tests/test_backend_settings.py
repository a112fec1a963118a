"""`anyjob backends set`: how much a backend of this machine has, changed while it is in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from running_local import Local, running, until

import anyjob
from anyjob import Command, Config, Registry, Session
from anyjob.builtin.local.backend import LocalBackend
from anyjob.errors import ConfigError, JobRejectedError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path, slots=1, memory="2GiB", resources={"license": 1}) as made:
        yield made


def waits_for_a_line(own: Local) -> Command:
    return Command(["sh", "-c", 'read line < "$0"', own.fifo])


def waiting_for_a_line(own: Local, count: int) -> list[Any]:
    """Jobs that run until somebody writes a line for each into the pipe."""
    return list(own.backend.run_many([waits_for_a_line(own)] * count))


def running_of(jobs: list[Any]) -> int:
    return sum(job.running() for job in jobs)


def let_all_end(own: Local, jobs: list[Any]) -> None:
    pipe = os.open(own.fifo, os.O_RDWR)
    try:
        os.write(pipe, b"go on\n" * len(jobs))
        for job in anyjob.as_completed(jobs, timeout=60):
            assert job.done(), job.outcome()
    finally:
        os.close(pipe)


def test_more_slots_are_there_at_once(own: Local) -> None:
    jobs = waiting_for_a_line(own, 3)
    until(lambda: running_of(jobs) == 1, "one runs")
    assert own.backend.set_options({"slots": 3}) == {"slots": 3}
    until(lambda: running_of(jobs) == 3, "all run")
    let_all_end(own, jobs)


def test_fewer_slots_end_nothing_and_start_less(own: Local) -> None:
    own.backend.set_options({"slots": 2})
    jobs = waiting_for_a_line(own, 4)
    until(lambda: running_of(jobs) == 2, "two run")
    first = [job for job in jobs if job.running()]
    own.backend.set_options({"slots": 1})
    assert all(job.running() for job in first)
    let_all_end(own, jobs)
    times = sorted((job.outcome().started, job.outcome().finished) for job in jobs)
    assert times[2][1] <= times[3][0], "the last two ran beside each other, on one slot"


def test_it_holds_whoever_dies_and_for_others(own: Local) -> None:
    own.backend.set_options({"slots": 2})
    own.backend.run(Command(["true"])).result(60)
    own.kill("supervisor")
    with own.another() as other:
        jobs = other.get_backend("local").run_many([waits_for_a_line(own)] * 2)
        until(lambda: running_of(jobs) == 2, "two run")
        assert other.get_backend("local").set_now() == {"slots": 2}
        let_all_end(own, jobs)


def test_what_is_configured_holds_again(own: Local) -> None:
    own.backend.set_options({"slots": 4, "resources": {"license": 3}})
    assert own.backend.set_options({"slots": None}) == {"resources": {"license": 3}}
    with pytest.raises(JobRejectedError, match="asks for 2 cpus, and there are 1 slots"):
        own.backend.run(Command(["true"]), cpus=2)


def test_what_is_set_decides_what_is_refused_at_run(own: Local) -> None:
    with pytest.raises(JobRejectedError, match="3 cpus"):
        own.backend.run(Command(["true"]), cpus=3)
    own.backend.set_options({"slots": 3, "memory": "4GiB", "resources": {"license": 2, "disk": 1}})
    own.backend.run(Command(["true"]), cpus=3, memory="3GiB", needs={"license": 2, "disk": 1}).result(60)
    own.backend.set_options({"slots": 2})
    with pytest.raises(JobRejectedError, match="asks for 3 cpus, and there are 2"):
        own.backend.run(Command(["true"]), cpus=3)


def test_what_waits_is_not_failed_by_it(own: Local) -> None:
    own.backend.set_options({"slots": 2})
    (blocker,) = waiting_for_a_line(own, 1)
    until(blocker.running, "it runs")
    large = own.backend.run(Command(["true"]), cpus=2, name="large")
    with pytest.raises(
        ConfigError, match=r"cannot have 1 cpus now: a job that waits \(of 'large'\) asks for 2"
    ):
        own.backend.set_options({"slots": 1})
    assert own.backend.set_now() == {"slots": 2}
    let_all_end(own, [blocker])
    large.result(60)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slot": 1}, "'slot' cannot be set while 'local' is in use; did you mean 'slots'?"),
        (
            {"isolation": "reuse"},
            "'isolation' cannot be set while 'local' is in use; what can: slots, memory, resources",
        ),
        ({"slots": 0}, "local: slots: expected integer >= 1"),
        ({"slots": "many"}, "local: slots: expected"),
        ({"memory": "8 apples"}, "8 apples"),
        ({"resources": {"license": -1}}, "license"),
    ],
)
def test_what_cannot_be_set_is_told(own: Local, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        own.backend.set_options(changes)
    assert words in str(raised.value)
    assert own.backend.set_now() == {}


def test_the_command_line_sets_shows_and_resets(own: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    from anyjob.cli.backends import commands

    def session() -> Session:
        registry = Registry()
        registry.register_backend("local", LocalBackend)
        others = {"here": {"type": "inline"}, "bare": {"type": "local"}}
        config = Config.from_dict({"backends": {"local": own.options, **others}})
        return Session(config, registry, own.state)

    monkeypatch.setattr(commands, "open_session", session)

    def said(*argv: str) -> str:
        ended = CliRunner().invoke(commands.backends, argv, catch_exceptions=True)
        return ended.output + (str(ended.exception) if ended.exception else "")

    assert said("set", "local", "slots=3", "memory=4GiB") == "local: slots = 3\nlocal: memory = 4GiB\n"
    assert "in place of these: slots = 3, memory = 4GiB" in said("show", "local")
    assert "memory: 8 is 8B, and one call of Python needs 16MiB" in said("set", "local", "memory=8")
    assert said("set", "local", 'resources={"license": 2}') == 'local: resources = {"license": 2}\n'
    assert said("set", "bare", "memory=") == "bare: memory not set, as configured\n"
    assert said("set", "local", "slots=") == "local: slots = 1, as configured\n"
    assert "'here' has nothing that can be set" in said("set", "here", "slots=3")
    assert "takes KEY=VALUE" in said("set", "local", "slots")

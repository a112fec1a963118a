"""Ctrl-C while work is handed over: no job runs that nobody knows, and the exception tells which."""

from __future__ import annotations

import linecache
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from running_local import Local, running, until
from support.scripted_backends import ScriptedEngine

from anyjob import Call, Capabilities, Command, Config, JobStatus, Registry, Session
from anyjob.builtin.local.backend import LocalBackend
from anyjob.errors import BrokenPluginError
from anyjob.orders import Answer, Order

INTERRUPTED = (
    "submission/submit.py",
    "submission/launch.py",
    "submission/take_back.py",
    "recording/entry.py",
    "ledger_recorder.py",
    "stored_work.py",
    "store.py",
    "ledger/bulks.py",
    "local/backend.py",
    "database.py",
)
"""Where Ctrl-C comes in the test that tries them all: the modules that hand work over."""
NOT_TAKEN = ("with ", "try:")
"""Lines that are traced before what they call, or without calling anything: Python takes no signal there."""
STRIDE = 3
"""Of so many lines that are run one is tried."""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path) as local:
        yield local


def told_in(error: BaseException) -> set[str]:
    """The ids of jobs that an exception names."""
    return set(re.findall(r"\b[0-9a-f]{20}\b", "\n".join(getattr(error, "__notes__", ()))))


def states(own: Local) -> dict[str, JobStatus]:
    with own.another() as other:
        return {job.job_id(): job.status() for job in other.jobs()}


def test_what_the_supervisor_has_read_is_not_forgotten(own: Local) -> None:
    """The signal comes while the supervisor is asked to look: by then it may have read them."""
    own.backend.run(Command(["true"])).result(60)
    known = set(states(own))
    supervisor = own.supervisor
    assert supervisor is not None
    code = f"""
import os, signal, sys, threading
from anyjob import Command
signal.signal(signal.SIGINT, signal.default_int_handler)
backend = local.backend
backend._client.open()
ask = backend._client.ask
def asked(message):
    if message['op'] == 'rescan':
        os.kill({supervisor}, signal.SIGSTOP)
        print('asks', flush=True)
    return ask(message)
backend._client.ask = asked
try:
    backend.run_many([Command(['sleep', '0.01'])] * 5)
except KeyboardInterrupt as error:
    print(*error.__notes__)
"""
    with own.program(code) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "asks\n"
        other.send_signal(signal.SIGINT)
        os.kill(supervisor, signal.SIGCONT)
        out, err = other.communicate(timeout=60)
    new = set(states(own)) - known
    assert len(new) == 5, err
    assert set(re.findall(r"\b[0-9a-f]{20}\b", out)) == new
    until(lambda: all(states(own)[job_id] is not JobStatus.RUNNING for job_id in new), "they have ended")
    assert {states(own)[job_id] for job_id in new} <= {JobStatus.CANCELLED, JobStatus.DONE}


class InterruptAt:
    """Raises KeyboardInterrupt in this thread at a line of those modules, counted as they are run."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __enter__(self) -> None:
        sys.settrace(self._call)

    def __exit__(self, *exc: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.endswith(INTERRUPTED) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and not _line_of(frame).startswith(NOT_TAKEN):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self._line


def _line_of(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()


def test_wherever_the_interrupt_comes_no_job_runs_unknown(own: Local, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    ran.touch()
    script = f'echo "$ANYJOB_JOB_ID" >> {ran}'
    backend = own.backend
    backend.run(Command(["sh", "-c", script])).result(60)
    known = set(states(own))
    number = 0
    while True:
        number += STRIDE
        try:
            with InterruptAt(number):
                backend.run_many([Command(["sh", "-c", script])] * 2, name=["a", "b"])
            break  # it was over before that line
        except KeyboardInterrupt as error:
            told = told_in(error)
        new = {job.job_id() for job in own.session.jobs()} - known
        assert len(new) in (0, 2), f"some of a call at line {number}"
        assert told == new, f"at line {number}"
        known |= new
    until(
        lambda: all(state.name in ("DONE", "CANCELLED", "ERROR") for state in states(own).values()), "all end"
    )
    assert set(states(own).values()) <= {JobStatus.DONE, JobStatus.CANCELLED}
    assert set(ran.read_text().split()) <= set(states(own))


class RaisesOnce:
    """A plugin whose hook raises when it is told of a job for the first time."""

    raised = False

    def anyjob_status_changed(self, job: Any) -> None:
        if not self.raised:
            self.raised = True
            raise RuntimeError("broken")


def test_a_strict_hook_that_raises_makes_nothing_of_the_jobs_that_is_not_true(own: Local) -> None:
    """None is called rejected that runs."""
    registry = Registry(environ={"ANYJOB_STRICT_PLUGINS": "1"})
    registry.register_backend("local", LocalBackend)
    registry.hooks.register(RaisesOnce())
    with Session(Config.from_dict({"backends": {"local": own.options}}), registry, own.state) as strict:
        with pytest.raises(BrokenPluginError) as raised:
            strict.get_backend("local").run_many([Command(["true"])] * 6)
        assert told_in(raised.value) <= set(states(own))
    until(
        lambda: all(state.name in ("DONE", "CANCELLED", "ERROR") for state in states(own).values()), "all end"
    )
    assert len(states(own)) == 6
    assert set(states(own).values()) <= {JobStatus.DONE, JobStatus.CANCELLED}


class Interrupted(ScriptedEngine):
    """An engine that has taken a job when Ctrl-C comes, and has not said so."""

    capabilities = Capabilities(find=True, durable=True, shared_files=True)

    def launch(self, orders: Any) -> Iterator[tuple[Order, Answer]]:
        yield orders[0], "n0"
        raise KeyboardInterrupt


def test_what_an_engine_may_have_is_left_in_the_ledger(tmp_path: Path) -> None:
    registry = Registry()
    registry.register_backend("acme", Interrupted)
    with Session(Config(), registry, tmp_path / "state") as session:
        backend = session.get_backend("acme")
        with pytest.raises(KeyboardInterrupt) as raised:
            backend.run_many([Call(abs, (1,))] * 3)
        jobs = session.jobs()
        assert told_in(raised.value) == {job.job_id() for job in jobs}
        assert len(jobs) == 3
        assert "cancelled" in raised.value.__notes__[0]
        assert "perhaps handed over" in raised.value.__notes__[1]
        assert len(backend.terminated) == 1


def test_a_job_that_was_taken_back_is_not_tried_again(tmp_path: Path) -> None:
    """The engine accepts the cancel, and tells of an end as of any other failure: it was asked for."""
    registry = Registry()
    registry.register_backend("acme", Interrupted)
    with Session(Config(), registry, tmp_path / "state") as session:
        backend = session.get_backend("acme")
        with pytest.raises(KeyboardInterrupt):
            backend.run_many([Call(abs, (1,))], retries=2)
        (job,) = session.jobs()
        backend.say("n0", JobStatus.ERROR, reason="exit-code")
        job.wait_for_final_state(60)
        assert len(job.attempts()) == 1

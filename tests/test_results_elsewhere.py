"""Jobs in the arguments of calls of other backends: those of plugins, durable or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit_trials import check, harness_of
from right_backend import RightBackend
from right_calls import RightCallsBackend

import anyjob
from anyjob import Call, Config, DependencyFailedError, JobStatus, Registry, Session
from anyjob.backend import Capabilities
from anyjob.errors import JobCancelledError
from anyjob.ledger.reading.results import FILE
from anyjob.spool import job_spool


class DurableCalls(RightCallsBackend):
    """Its calls are given values: it knows nothing of the spool."""

    capabilities = Capabilities(durable=True, cancel_running=False, walltime=False)


def give_back(*values: Any) -> Any:
    return values


@pytest.mark.parametrize(
    "name",
    [
        "test_a_job_in_the_arguments_of_a_call_stands_for_its_result",
        "test_a_call_is_not_made_whose_arguments_did_not_come_about",
    ],
)
@pytest.mark.parametrize("backend", [RightBackend, RightCallsBackend])
def test_right_backends_pass_the_check(
    backend: type[Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with harness_of(backend, tmp_path) as harness:
        check(name, harness)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    registry = Registry()
    registry.register_backend("calls", RightCallsBackend)
    registry.register_backend("durable", DurableCalls)
    config = Config.from_dict({"backends": {"calls": {"type": "calls"}, "durable": {"type": "durable"}}})
    with Session(config, registry, tmp_path / "state") as made:
        yield made


def test_a_call_is_held_in_this_process_until_its_arguments_are_there(session: Session) -> None:
    backend = session.get_backend("calls")
    threads = session.get_backend("threads")
    go_on = threading.Event()
    first = threads.run(go_on.wait)
    held = backend.run(give_back, first, [first])
    cancelled = backend.run(give_back, first)
    behind = backend.run(give_back, cancelled)
    assert held.status() is JobStatus.QUEUED
    assert held.metadata()["message"] == f"waits for {first.job_id()[:7]}"
    assert cancelled.cancel()
    with pytest.raises(JobCancelledError):
        cancelled.result(60)
    with pytest.raises(DependencyFailedError, match="was cancelled"):
        behind.result(60)
    assert not held.in_final_state()
    go_on.set()
    assert held.result(60) == (True, [True])
    assert len(backend.outcomes) == 1, "the engine has heard of this one alone"


def test_a_durable_engine_is_given_the_values_of_what_has_ended(session: Session) -> None:
    backend = session.get_backend("durable")
    first = backend.run(give_back, 1, name="one")
    large = backend.run("builtins:bytes", 100_000)
    assert first.result(60) == (1,)
    large.wait_for_final_state(60)
    last = backend.run(give_back, first, [large, first])
    assert last.result(60) == ((1,), [bytes(100_000), (1,)])
    assert "give_back(<result of one>" in repr(last)
    job_spool.remove(backend.spool_root, large.job_id())
    with pytest.raises(DependencyFailedError, match=f"the result of job {large.job_id()}.* cannot be read"):
        backend.run(give_back, large).result(60)


def test_a_program_that_makes_the_call_finds_what_is_not_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runner looks into the directory of the job first."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with harness_of(RightBackend, tmp_path) as harness:
        first = harness.run(Call("builtins:bytes", (100_000,)))
        harness.assert_done(first, "a call")
        last = harness.run(Call("builtins:len", (first,)))
        assert last.result(60) == 100_000
        assert (last._record.tracker.spool(last._record) / FILE).exists()


def load(lazy: Any) -> Any:
    return lazy.load()


@pytest.mark.parametrize("name", ["calls", "durable"])
def test_a_lazy_result_is_read_when_it_is_wanted(session: Session, name: str) -> None:
    backend = session.get_backend(name)
    first = backend.run(give_back, 1)
    first.wait_for_final_state(60)
    assert backend.run(load, anyjob.lazy(first)).result(60) == (1,)

"""The garbage collector rests while many jobs are handed over, and goes on, whatever has happened."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anyjob import Call, Config, Session
from anyjob.process.collector import MANY, collector_at_rest


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_rests_for_many_of_a_durable_backend_alone() -> None:
    with collector_at_rest(MANY - 1, durable=True):
        assert gc.isenabled()
    with collector_at_rest(MANY, durable=False):
        assert gc.isenabled()
    with collector_at_rest(MANY, durable=True):
        assert not gc.isenabled()
        with collector_at_rest(MANY, durable=True):  # as another thread may
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_has_it_off_keeps_it_off() -> None:
    gc.disable()
    with collector_at_rest(MANY, durable=True):
        pass
    assert not gc.isenabled()


def test_ctrl_c_as_it_begins_to_rest_leaves_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    disable = gc.disable

    def interrupted() -> None:
        disable()
        raise KeyboardInterrupt

    monkeypatch.setattr(gc, "disable", interrupted)
    with pytest.raises(KeyboardInterrupt), collector_at_rest(MANY, durable=True):
        pass
    assert gc.isenabled()


def test_a_process_forked_off_meanwhile_collects() -> None:
    with collector_at_rest(MANY, durable=True):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if gc.isenabled() else 1)
        assert not gc.isenabled()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_it_rests_while_jobs_are_handed_over_and_goes_on_though_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = set()

    def before_submit(*about: Any) -> None:
        seen.add(gc.isenabled())
        raise RuntimeError("a plugin's")

    with Session(Config.from_dict({"backends": {"own": {"type": "local"}}}), state=tmp_path) as session:
        backend: Any = session.get_backend("own")
        monkeypatch.setattr(backend.services, "before_submit", before_submit)
        with pytest.raises(RuntimeError, match="a plugin's"):
            backend.run_many([Call(abs, (1,))] * MANY)
    assert seen == {False}
    assert gc.isenabled()


def test_work_that_is_done_meanwhile_has_its_garbage_collected() -> None:
    with Session(Config.from_dict({"backends": {"own": {"type": "inline"}}})) as session:
        jobs = session.get_backend("own").map(lambda number: gc.isenabled(), range(MANY))
        assert all(job.result() for job in jobs)

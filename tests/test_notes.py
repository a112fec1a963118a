"""What plugins note of a job when it is submitted, and the variables that they give it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.scripted_backends import ScriptedEngine

from anyjob import Config, Registry, Session
from anyjob.backend import Capabilities
from anyjob.errors import JobError
from anyjob.execution.job_environment import job_environment
from anyjob.specs import Call


class Durable(ScriptedEngine):
    capabilities = Capabilities(durable=True, find=True)


class Notes:
    """A plugin that notes what it is told to."""

    def __init__(self, note: Callable[[str], Any]) -> None:
        self._note = note

    def anyjob_before_submit(self, job_id: str) -> Any:
        return self._note(job_id)

    def anyjob_job_environment(self) -> Any:
        return {"SEEN": "yes"}


def session_at(state: Path, *plugins: Any) -> Session:
    registry = Registry()
    registry.register_backend("acme.durable", Durable)
    for plugin in plugins:
        registry.hooks.register(plugin)
    return Session(Config.from_dict({}), registry, state)


def test_notes_of_all_plugins_stay_with_the_job(tmp_path: Path) -> None:
    plugins = Notes(lambda job_id: {"acme.id": job_id}), Notes(lambda job_id: {"other": "é\udcff"})
    with session_at(tmp_path, *plugins) as session:
        jobs = [session.run(Call(abs, (-1,)), name) for name in ("threads", "inline", "acme.durable")]
        expected = [{"acme.id": job.job_id(), "other": "é\udcff"} for job in jobs]
        assert [job.notes() for job in jobs] == expected
        jobs[0].notes()["acme.id"] = "changed"
        assert jobs[0].notes() == expected[0]
    with session_at(tmp_path) as again:
        assert again.get_job(jobs[2].job_id()).notes() == expected[2]


def test_a_job_of_which_nothing_was_noted(tmp_path: Path) -> None:
    with session_at(tmp_path, Notes(lambda job_id: None)) as session:
        job = session.run(Call(abs, (-1,)), "acme.durable")
        assert job.notes() == {}
    with session_at(tmp_path) as again:
        assert again.get_job(job.job_id()).notes() == {}


def test_a_job_that_was_attached_has_no_notes(tmp_path: Path) -> None:
    with session_at(tmp_path) as session:
        backend = session.get_backend("acme.durable")
        backend.say("theirs", backend.run(Call(abs, (1,))).status())
        job = backend.attach("theirs")
        assert job.notes() == {}
        with pytest.raises(JobError, match="did not submit"):
            job.spec()


@pytest.mark.parametrize("wrong", [True, {"acme": 7}, [("acme", "7")]])
def test_what_is_no_text_by_name_is_reported_and_left_out(
    tmp_path: Path, wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    plugins = Notes(lambda job_id: wrong), Notes(lambda job_id: {"acme": "well"})
    with session_at(tmp_path, *plugins) as session, caplog.at_level(logging.WARNING, "anyjob.plugins"):
        job = session.run(Call(abs, (-1,)), "inline")
        assert job.notes() == {"acme": "well"}
        assert job.result() == 1
    assert "anyjob_before_submit returned" in caplog.text


def seen() -> str | None:
    return job_environment().get("SEEN")


@pytest.mark.parametrize("name", ["inline", "threads"])
def test_a_call_in_a_thread_of_ours_finds_its_variables(tmp_path: Path, name: str) -> None:
    with session_at(tmp_path, Notes(lambda job_id: None)) as session:
        assert session.run(Call(seen), name).result() == "yes"
    assert seen() is None

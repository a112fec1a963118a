"""A service that is away hides none of what is elsewhere: in listings, filters, `show` and `cancel`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.cli_program import invoke
from support.scripted_backends import ScriptedBackend

from anyjob import BaseBackend, BaseJob, JobStatus, Registry, Session, set_default_session
from anyjob.backend import BackendConfiguration, BackendStatus
from anyjob.provider import filter_backends

DONE, QUEUED, RUNNING = JobStatus.DONE, JobStatus.QUEUED, JobStatus.RUNNING


class NoRoute(Exception):
    """What the client library of a service raises: it knows nothing of anyjob."""


class CloudJob(BaseJob):
    """A job that a service keeps."""

    def submit(self) -> None:
        return None

    def status(self) -> JobStatus:
        return Cloud.request(self._backend.name())[self._job_id]

    def result(self) -> Any:
        return None

    def cancel(self) -> bool:
        Cloud.request(self._backend.name())[self._job_id] = JobStatus.CANCELLED
        return True


class Cloud(BaseBackend):
    """A backend in the original's manner, over a service that may be away."""

    services: ClassVar[dict[str, dict[str, JobStatus]]] = {}
    away: ClassVar[set[str]] = set()
    requests: ClassVar[list[str]] = []

    @classmethod
    def request(cls, name: str) -> dict[str, JobStatus]:
        """Return the jobs of a service, by their ids."""
        cls.requests.append(name)
        if name in cls.away:
            raise NoRoute(f"no route to {name}")
        return cls.services.setdefault(name, {})

    def run(self, work: Any = None) -> CloudJob:
        known = self.request(self.name())
        job_id = f"{self.name()}-{len(known)}"
        known[job_id] = QUEUED
        return CloudJob(self, job_id)

    def retrieve_job(self, job_id: str) -> CloudJob:
        self.request(self.name())
        return CloudJob(self, job_id)

    def status(self) -> BackendStatus:
        self.request(self.name())
        return BackendStatus(self.name())


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Five jobs of the service `near`, then five of `far`, of another session; `far` is away then."""
    for name, empty in (("services", {}), ("away", set()), ("requests", [])):
        monkeypatch.setattr(Cloud, name, empty)

    def session() -> Session:
        registry = Registry()
        for name in ("near", "far"):
            registry.register_backend(name, Cloud)
        return Session(registry=registry, state=tmp_path / "state")

    with session() as first:
        for name in ("far", "near"):
            for number in range(5):
                first.get_backend(name).run({"circuit": number})
    Cloud.away.add("far")
    Cloud.requests.clear()
    with session() as again:
        set_default_session(again)
        yield again
    set_default_session(None)


def listed() -> list[tuple[str, str]]:
    done = invoke("jobs", "--json")
    assert done.exit_code == 0, done.stderr
    return [(row["native_id"], row["state"]) for row in json.loads(done.stdout)]


def test_a_listing_shows_all_rows_and_warns_once(clouds: Session) -> None:
    done = invoke("jobs")
    assert (done.exit_code, done.stdout.count("QUEUED")) == (0, 10)
    assert (
        done.stderr == "anyjob: warning: backend 'far': 5 jobs are not up to date: NoRoute: no route to far\n"
    )


def test_a_service_that_is_away_is_not_asked_about_every_job(clouds: Session) -> None:
    assert len(clouds.jobs()) == 5
    assert Cloud.requests.count("far") <= 3


def test_handles_on_the_others_are_given(clouds: Session, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "anyjob"):
        assert [job.job_id() for job in clouds.jobs()] == [f"near-{n}" for n in range(5)]
    assert [record.getMessage() for record in caplog.records] == [
        "backend 'far': 5 jobs are left out: NoRoute: no route to far"
    ]


def test_jobs_of_this_process_that_cannot_be_asked_are_left_out(clouds: Session) -> None:
    clouds.registry.register_backend("scripted", ScriptedBackend)
    backend = clouds.get_backend("scripted")
    jobs = [backend.run(answer) for answer in (NoRoute("no route"), RUNNING)]
    assert clouds.jobs(backend="scripted", state=RUNNING) == [jobs[1]]


def test_one_job_that_cannot_be_asked_hides_no_other_of_its_service(clouds: Session) -> None:
    Cloud.away.clear()
    del Cloud.services["far"]["far-2"]  # its status raises KeyError
    Cloud.services["far"]["far-3"] = RUNNING
    assert ("far-3", "RUNNING") in listed()


def test_what_a_listing_hears_is_written_down(clouds: Session) -> None:
    """qiskit-ibm-runtime#1547: a plain job stayed QUEUED in the ledger unless somebody waited for it."""
    Cloud.services["near"].update({"near-1": RUNNING, "near-2": DONE})
    assert invoke("jobs").exit_code == 0
    near = [number for number, row in clouds.ledger.backend_rows().items() if row.label == "near"]
    rows = clouds.ledger.select(backends=near)
    assert [row.status for row in rows] == [QUEUED, RUNNING, DONE, QUEUED, QUEUED]
    assert listed()[6:8] == [("near-1", "RUNNING"), ("near-2", "DONE")]


def test_show_tells_what_is_known(clouds: Session) -> None:
    done = invoke("show", "far-3")
    assert done.exit_code == 0
    assert "{'circuit': 3}" in done.stdout
    assert "far-3" in done.stdout
    assert done.stderr.count("NoRoute") == 1


def test_cancel_reaches_the_others(clouds: Session) -> None:
    Cloud.away.clear()
    jobs = clouds.jobs()
    Cloud.away.add("far")
    with pytest.raises(NoRoute):
        clouds.cancel(jobs)
    assert set(Cloud.services["near"].values()) == {JobStatus.CANCELLED}


def test_a_filter_leaves_out_who_cannot_be_asked(clouds: Session, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "anyjob"):
        found = clouds.backends(
            filters=lambda backend: backend.name() == "local" or backend.status().operational
        )
    assert {"local", "near"} <= set(map(str, found))
    assert "far" not in map(str, found)
    assert "far: NoRoute: no route to far" in caplog.text


def test_attributes_of_a_status_leave_out_who_cannot_be_asked() -> None:
    near, far = (Cloud(BackendConfiguration(name)) for name in ("near", "far"))
    Cloud.away.add("far")
    try:
        assert filter_backends([far, near], operational=True) == [near]
        with pytest.raises(NoRoute):
            filter_backends([far], operational=True)
    finally:
        Cloud.away.clear()


def test_a_backend_whose_constructor_fails_hides_no_other(clouds: Session) -> None:
    class Broken(Cloud):
        def __init__(self, configuration: Any, provider: Any = None) -> None:
            raise NoRoute("no network at all")

    clouds.registry.register_backend("broken", Broken)
    assert "near" in map(str, clouds.backends())

"""A plain backend that was made through a session is as good a citizen as a task backend."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.scripted_backends import FindingBackend, ScriptedJob

from anyjob import (
    Config,
    JobNotFoundError,
    JobStatus,
    Refused,
    Registry,
    Session,
    UnsupportedSpecError,
    hookimpl,
    wait,
)

INITIALIZING, RUNNING, DONE = JobStatus.INITIALIZING, JobStatus.RUNNING, JobStatus.DONE
LONG = 30  # seconds: only ever waited for where something is broken


class Listener:
    """A plugin that keeps what it hears."""

    def __init__(self) -> None:
        self.submitted: list[Any] = []
        self.changes: list[tuple[Any, JobStatus | None, JobStatus]] = []
        self.finished: list[tuple[Any, JobStatus]] = []
        self.end = threading.Event()

    @hookimpl
    def anyjob_submitted(self, job: Any) -> None:
        self.submitted.append(job)

    @hookimpl
    def anyjob_status_changed(self, job: Any, old: JobStatus | None, new: JobStatus) -> None:
        self.changes.append((job, old, new))

    @hookimpl
    def anyjob_finished(self, job: Any, outcome: Any) -> None:
        self.finished.append((job, outcome.status))
        self.end.set()


class Guard:
    """A plugin that refuses work that is said to be bad."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    @hookimpl
    def anyjob_before_submit(self, backend: Any, spec: Any) -> None:
        self.asked.append((backend, spec))
        if spec == "bad":
            raise Refused("not that")


def new_session(*plugins: object) -> Session:
    registry = Registry()
    registry.register_backend("plain", FindingBackend)
    for plugin in plugins:
        registry.hooks.register(plugin)
    return Session(config=Config.from_dict({}), registry=registry)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def session(listener: Listener) -> Iterator[Session]:
    with new_session(listener) as session:
        yield session


def test_hooks_hear_of_each_change_once(session: Session, listener: Listener) -> None:
    backend = session.get_backend("plain")
    job = backend.run("work", answers=[INITIALIZING, RUNNING, RUNNING, "DONE"])
    assert listener.submitted == [job]
    assert listener.end.wait(LONG)
    wait([job], LONG)
    assert listener.changes == [(job, None, INITIALIZING), (job, INITIALIZING, RUNNING), (job, RUNNING, DONE)]
    assert listener.finished == [(job, DONE)]


def test_waits_and_hooks_ask_together(session: Session, listener: Listener) -> None:
    job = session.get_backend("plain").run(answers=[RUNNING, RUNNING, DONE])
    assert wait([job], LONG).done == [job]
    assert listener.end.wait(LONG)
    assert len(job.askers) == 1
    assert [new for _, _, new in listener.changes] == [RUNNING, DONE]


def test_a_question_that_fails_does_not_end_the_watch(session: Session, listener: Listener) -> None:
    """Parsl#1588: a question that fails, or is not answered, is no news of the job."""
    job = session.get_backend("plain").run(answers=[RUNNING, ValueError("no status today"), DONE])
    assert listener.end.wait(LONG)
    assert listener.finished == [(job, DONE)]


def test_each_job_of_a_list_is_followed(listener: Listener) -> None:
    class Batches(FindingBackend):
        def run(self, work: Any = None, answers: Any = ()) -> Any:
            return [super(Batches, self).run(work, answers) for _ in range(3)]

    with new_session(listener) as session:
        session.registry.register_backend("batches", Batches)
        backend = session.get_backend("batches")
        jobs = backend.run(answers=[RUNNING, DONE])
        assert listener.submitted == jobs
        assert session.jobs() == jobs


def test_work_can_be_refused() -> None:
    guard = Guard()
    with new_session(guard) as session:
        backend = session.get_backend("plain")
        with pytest.raises(Refused, match="not that"):
            backend.run("bad")
        assert backend.known == {}
        job = backend.run("good")
        assert guard.asked == [(backend, "bad"), (backend, "good")]
        assert session.jobs() == [job]


@pytest.mark.parametrize(
    ("after", "accepted"),
    [(JobStatus.CANCELLED, True), (RUNNING, True), (DONE, False), (JobStatus.ERROR, False)],
)
def test_a_cancel_that_says_nothing_is_taken_by_the_status(
    session: Session, after: JobStatus, accepted: bool
) -> None:
    job = session.get_backend("plain").run()
    job.cancel = lambda: job.end(after)
    assert session.cancel([job]) == [accepted]


def test_a_session_knows_its_jobs(session: Session) -> None:
    backend = session.get_backend("plain")
    jobs = [backend.run(answers=[DONE]) for _ in range(3)]
    assert session.jobs() == jobs
    assert session.get_job("p1") is jobs[1]
    with pytest.raises(JobNotFoundError):
        session.get_job("q")


def test_a_job_is_found_again_by_its_backend(session: Session) -> None:
    """qBraid#878: re-create a job without knowing its class."""
    backend = session.get_backend("plain")
    backend.run(answers=[DONE])
    assert session.get_job("p0", backend="plain").job_id() == "p0"
    assert session.get_job("p0", backend=backend).backend() is backend
    with pytest.raises(JobNotFoundError):
        session.get_job("p7", backend="plain")


def test_jobs_that_nobody_holds_are_forgotten() -> None:
    with new_session() as session:
        backend = session.get_backend("plain")
        job = backend.run()
        assert session.jobs() == [job]
        backend.known.clear()
        del job
        assert session.jobs() == []


def test_what_is_constructed_directly_is_left_alone() -> None:
    backend = FindingBackend()
    assert backend.run.__func__ is FindingBackend.run  # type: ignore[attr-defined]


def test_run_keeps_its_signature_and_its_other_results(session: Session) -> None:
    class Other(FindingBackend):
        def run(self, work: Any = None, answers: Any = ()) -> Any:
            """Return no job."""
            return 7

    session.registry.register_backend("other", Other)
    backend = session.get_backend("other")
    assert backend.run("x") == 7
    assert list(inspect.signature(backend.run).parameters) == ["work", "answers"]
    assert backend.run.__doc__ == "Return no job."


def test_a_backend_still_pickles_and_copies(session: Session, listener: Listener) -> None:
    """qiskit#6978: save jobs, pickle handles."""
    backend = session.get_backend("plain")
    for twin in (pickle.loads(pickle.dumps(backend)), copy.deepcopy(backend)):
        twin.run("mine")
        assert (len(twin.known), len(backend.known)) == (1, 0)
    assert listener.submitted == []
    assert pickle.loads(pickle.dumps(backend.run))().job_id() == "p0"


def test_a_backend_that_two_sessions_share_is_that_of_the_last(listener: Listener) -> None:
    shared = FindingBackend()

    class Shared(FindingBackend):
        @classmethod
        def from_options(cls, name: str, options: Any, provider: Any = None) -> Any:
            return shared

    first, second = Listener(), Listener()
    for plugin in (first, second):
        session = new_session(plugin)
        session.registry.register_backend("shared", Shared)
        session.get_backend("shared")
    job = shared.run(answers=[DONE])
    assert second.end.wait(LONG)
    assert (first.submitted, second.submitted) == ([], [job])


def test_a_hook_that_raises_is_reported_and_harms_nothing(
    session: Session, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """llm#1280: one bad plugin killed everything."""

    class Bad:
        @hookimpl
        def anyjob_status_changed(self, new: JobStatus) -> None:
            raise ZeroDivisionError("bad plugin")

    session.registry.hooks.register(Bad())
    with caplog.at_level(logging.WARNING, "anyjob"):
        job = session.get_backend("plain").run(answers=[RUNNING, DONE])
        assert wait([job], LONG).done == [job]
        assert listener.end.wait(LONG)
    assert "bad plugin" in caplog.text


def test_a_job_of_a_plain_backend_is_itself(session: Session) -> None:
    jobs = [session.get_backend("plain").run(answers=[DONE]) for _ in range(2)]
    assert all(isinstance(job, ScriptedJob) for job in jobs)
    assert jobs[0] != jobs[1]


def test_what_it_cannot_do_to_jobs_is_said_in_words() -> None:
    with new_session() as session:
        job = session.get_backend("plain").run("x")
        with pytest.raises(UnsupportedSpecError, match="cannot give jobs a priority"):
            session.set_priority([job], 1)
        with pytest.raises(UnsupportedSpecError, match="cannot pause jobs"):
            session.pause([job])

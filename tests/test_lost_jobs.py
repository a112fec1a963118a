"""What a backend is asked before jobs are given up, and what waits one after the other cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from support.durable_backends import ClusterBackend, ClusterOptions, new_session
from support.manual_clock import ManualClock
from support.scripted_backends import ScriptedEngine

from anyjob import Command, JobStatus
from anyjob.orders import Unsure
from anyjob.specs import Call

CALL = Call(len, ("x",))


class Renouncing(ScriptedEngine):
    """An engine that can keep jobs from starting; ``started`` are those that it is too late for."""

    grace = 60.0
    floor = 1.0
    renounced: tuple[str, ...] = ()
    started: Mapping[str, str] = {}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        self.renounced += tuple(job_ids)
        return {job_id: "late" for job_id in job_ids if self.started}


def test_what_is_given_up_is_kept_from_starting(clock: ManualClock) -> None:
    """submitit#1659: sbatch was slow and timed out; what it hands over late must not run unseen."""
    backend = Renouncing.make()
    backend.answers = [Unsure()]
    job = backend.run(CALL)
    clock.now += 30
    assert (job.status(), backend.renounced) == (JobStatus.INITIALIZING, ())
    clock.now += 31
    assert job.status() is JobStatus.ERROR
    assert backend.renounced == (job.job_id(),)
    assert job.outcome().reason == "lost"


def test_what_has_started_after_all_is_not_given_up(clock: ManualClock) -> None:
    backend = Renouncing.make(started={"any": "late"})
    backend.answers = [Unsure()]
    job = backend.run(CALL)
    clock.now += 61
    backend.say("late", JobStatus.RUNNING)
    assert job.status() is not JobStatus.ERROR
    assert job.native_id() == "late"


def test_who_waits_for_one_after_the_other_waits_but_once() -> None:
    backend = ScriptedEngine.make(grace=3600.0)
    jobs = [backend.run(CALL) for _ in range(20)]
    for job in jobs:
        backend.say(str(job.native_id()), JobStatus.DONE)
    for job in jobs:
        job.outcome(20)
    assert len(backend.questions) <= 2  # one that was launched a moment ago is not asked about yet
    backend.close()


def test_an_attempt_is_noted_though_the_job_was_seen_running_only(clock: ManualClock) -> None:
    backend = ScriptedEngine.make(floor=1.0)
    job = backend.run(CALL)
    for attempt in (1, 2):
        backend.say("n0", JobStatus.RUNNING, attempt=attempt)
        clock.now += 2
        job.status()
        assert job.metadata()["attempt"] == attempt


class SpoolOptions(ClusterOptions, frozen=True):
    """Those of a cluster that sees one directory of ours."""

    spool: Path | None = None


class Shared(ClusterBackend):
    """A cluster that keeps the directories of its jobs where it is told to."""

    Options = SpoolOptions
    capabilities = ClusterBackend.capabilities.__class__(durable=True, shared_files=True, find=True)


def test_the_option_spool_says_where_jobs_have_their_directories(tmp_path: Path) -> None:
    for place in (tmp_path / "scratch", None):
        options = {"type": "shared", **({"spool": str(place)} if place else {})}
        session = new_session(tmp_path / "state", {"backends": {"hpc": options}})
        session.registry.register_backend("shared", Shared)
        job = session.get_backend("hpc").run(Command(["true"]))
        root = place or tmp_path / "state" / "spool"
        directory = root / job.job_id()[:2] / job.job_id()
        assert job._record.spool == directory
        directory.mkdir(parents=True)
        other = new_session(tmp_path / "state", {"backends": {"hpc": options}})
        other.registry.register_backend("shared", Shared)
        again = other.get_job(job.job_id())
        assert again._record.spool == directory
        again.cancel()
        again.outcome(20)
        session.close()
        assert other.prune(0) == [job.job_id()]
        assert not directory.exists()
        other.close()

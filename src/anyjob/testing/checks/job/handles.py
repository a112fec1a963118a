"""Handles on jobs."""

from __future__ import annotations

import pickle
from typing import Any
from unittest import SkipTest

from anyjob.backend import BaseBackend
from anyjob.errors import JobNotFoundError
from anyjob.job import BaseJob, JobStatus
from anyjob.specs import kind_of, with_files
from anyjob.taskbackend import TaskBackend
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live
from anyjob.testing.harness.messages import describe_end, short_repr


class Handles:
    """The jobs of a backend say who they are."""

    @live
    def test_a_job_knows_its_id_and_its_backend(self, harness: BackendHarness) -> None:
        """Each job has an id of its own, a text that is not empty, and is on the backend that made it."""
        jobs = [harness.run(sample.succeeds) for sample in harness.samples for _ in range(2)]
        ids = [job.job_id() for job in jobs]
        assert all(isinstance(job_id, str) and job_id for job_id in ids), f"the ids are {ids}, no texts"
        assert len(set(ids)) == len(ids), f"two jobs have one id: {ids}"
        for job in jobs:
            assert isinstance(job, BaseJob), f"run() gave {job!r}, which is no BaseJob"
            assert job.backend() is harness.backend, (
                f"the job is on {job.backend()!r}, not on {harness.backend!r}"
            )
            for part in (job.job_id(), harness.name):
                assert part in repr(job), f"repr() of the job does not have {part!r}: {job!r}"

    def test_a_job_is_found_again_by_its_id(self, harness: BackendHarness) -> None:
        """retrieve_job() finds a job by its id, and raises JobNotFoundError for one that there is not."""
        if type(harness.backend).retrieve_job is BaseBackend.retrieve_job:
            raise SkipTest(f"{harness.name} does not find its jobs again: it has no retrieve_job()")
        job = harness.run(harness.samples[0].succeeds)
        again = harness.backend.retrieve_job(job.job_id())
        assert again.job_id() == job.job_id(), f"asked for {job.job_id()}, it gave {again.job_id()}"
        harness.assert_done(again, "found again, work that succeeds")
        try:
            other = harness.backend.retrieve_job("0" * 20)
        except JobNotFoundError:
            return
        except Exception as error:
            raise AssertionError(f"asked for a job that there is not, it raised {error!r}") from error
        raise AssertionError(f"asked for a job that there is not, it gave {other!r}")


class TaskHandles:
    """What handles on the jobs of a task backend tell, and that they travel."""

    def test_a_handle_survives_pickling(self, harness: BackendHarness) -> None:
        """A handle can be pickled, before and after the job has ended, and then is one on the same job."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            before = pickle.dumps(job)
            value = job.result(harness.timeout)
            for blob in (before, pickle.dumps(job)):
                again = pickle.loads(blob)
                assert again == job, f"{sample.kind}: unpickled, {job!r} is {again!r}"
                assert type(again.result(harness.timeout)) is type(value), (
                    f"{sample.kind}: its result is lost"
                )

    def test_handles_compare_by_id(self, harness: BackendHarness) -> None:
        """Two handles on one job are equal and hash alike; those on two jobs are not."""
        job, other = (harness.run(harness.samples[0].succeeds) for _ in range(2))
        same = harness.backend.retrieve_job(job.job_id())
        assert same == job, f"two handles on one job are not equal: {same!r} and {job!r}"
        assert hash(same) == hash(job), "two handles on one job hash differently"
        assert other != job, f"handles on two jobs are equal: {other!r} and {job!r}"
        assert len({job, same, other}) == 2, "a set of handles on 2 jobs does not hold 2 of them"

    def test_the_work_comes_back(self, harness: BackendHarness) -> None:
        """spec() of a job is the work that was handed over."""
        for sample in harness.samples:
            spec = harness.run(sample.succeeds).spec()
            assert spec == with_files(sample.succeeds), (
                f"handed {short_repr(sample.succeeds)}, spec() is {short_repr(spec)}"
            )

    def test_a_job_tells_what_it_is_called(self, harness: BackendHarness) -> None:
        """metadata() has the id, kind, backend, name and tags of a job, and it is found by its name."""
        sample = harness.samples[0]
        tags = {"study": "a b", "ü": ""}
        job = harness.run(sample.succeeds, name="a name", tags=tags)
        known = job.metadata()
        expected = {
            "job_id": job.job_id(),
            "native_id": job.native_id(),
            "backend": harness.name,
            "kind": kind_of(sample.succeeds),
            "name": "a name",
            "tags": tags,
        }
        for key, value in expected.items():
            assert known.get(key) == value, f"metadata()[{key!r}] is {known.get(key)!r}, not {value!r}"
        assert "a name" in repr(job), f"repr() of the job does not have its name: {job!r}"
        found = harness.session.jobs(name="a name", tags={"study": "a b"})
        assert job in found, f"sought by its name and a tag, these were found: {found}"

    def test_an_outcome_tells_how_it_went(self, harness: BackendHarness) -> None:
        """outcome() of work that succeeded is DONE, has no reason, and is the first attempt."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            outcome = harness.outcome(job)
            assert outcome.status is JobStatus.DONE, f"{sample.kind}: the outcome is {describe_end(job)}"
            assert outcome.reason is None, f"{sample.kind}: it succeeded, with the reason {outcome.reason!r}"
            assert outcome.exit_code in (None, 0), f"{sample.kind}: its exit code is {outcome.exit_code!r}"
            assert outcome.attempt == 1, f"{sample.kind}: it is attempt {outcome.attempt!r}"

    def test_a_job_is_found_by_the_id_of_the_engine(self, harness: BackendHarness) -> None:
        """A job has the engine's id when run() returns, and attach() gives a handle on it."""
        job = harness.run(harness.samples[0].succeeds)
        native_id = job.native_id()
        assert isinstance(native_id, str) and native_id, (
            f"native_id() is {native_id!r}, no text: is it what launch() yielded, and a str?"
        )
        same = _attached(harness.backend, native_id)
        assert same == job, f"attach({native_id!r}) gave {same!r}, not {job!r}"
        other = harness.run(harness.samples[0].succeeds)
        assert other.native_id() != native_id, f"two jobs have one native id: {native_id!r}"


def _attached(backend: TaskBackend, native_id: str) -> Any:
    try:
        return backend.attach(native_id)
    except JobNotFoundError as error:
        raise AssertionError(f"attach({native_id!r}) knows no such job: {error}") from error

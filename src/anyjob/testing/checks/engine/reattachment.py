"""Jobs are found again by other processes, and by later ones."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from contextlib import closing
from typing import Any
from unittest import SkipTest

from anyjob.errors import AnyjobError, JobNotFoundError, JobTimeoutError
from anyjob.job import JobStatus
from anyjob.session.default import set_default_session
from anyjob.specs import Command
from anyjob.taskbackend import TaskBackend
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import requires
from anyjob.testing.harness.samples import ANY, Samples
from anyjob.testing.instrumentation.call_recorder import AttributesChanged

TEXT = "said by the work: $(echo executed) 'é'"


class Reattachment:
    """What was handed over in one process is found in others. For every backend."""

    @requires("durable")
    def test_another_process_finds_a_job_and_its_result(self, harness: BackendHarness) -> None:
        """Another process finds a job by its id, and reads its result."""
        jobs = [harness.run(_work(sample)) for sample in harness.samples]
        found = harness.in_other_process(_read_results, job_ids=[job.job_id() for job in jobs])
        for sample, job, (failure, result) in zip(harness.samples, jobs, found, strict=True):
            assert not failure, f"{sample.kind}: in another process its result could not be had: {failure}"
            _same_result(sample, result, "read in another process")
            _same_result(sample, _result(sample, job, harness), "read here, after another process")

    @requires("durable")
    def test_the_first_status_that_is_asked_for_is_the_right_one(self, harness: BackendHarness) -> None:
        """Who finds a job again sees at once where it is, although nobody has watched it."""
        # submitit#1707, psij-python#399
        job = harness.run(_work(harness.samples[0]))
        harness.in_other_process(_read_results, job_ids=[job.job_id()])
        with closing(harness.reopen()) as anew:
            status = _job(anew, job.job_id()).status()
        assert status is JobStatus.DONE, f"a job that has ended was first said to be {status!r}"
        # Else the answer is that it was taken a moment ago.
        with AttributesChanged(harness.backend, floor=0.0):
            status = job.status()
        assert status is JobStatus.DONE, (
            f"a job that another process has seen end was first said to be {status!r} here"
        )

    @requires("durable")
    def test_a_job_outlives_the_process_that_submitted_it(self, harness: BackendHarness) -> None:
        """A job runs on when the process that submitted it has ended, and is found by others."""
        for sample, job_id in zip(harness.samples, harness.in_other_process(_submit), strict=True):
            job = _job(harness, job_id)
            harness.assert_done(job, f"{sample.kind}: work whose submitting process has ended")
            _same_result(sample, _result(sample, job, harness), "submitted by a process that has ended")

    @requires("durable", "cancel_running")
    def test_a_job_is_cancelled_from_another_process(self, harness: BackendHarness) -> None:
        """A job can be cancelled by another process than the one that submitted it."""
        job = harness.run_slow()
        accepted = harness.in_other_process(_cancel, job_id=job.job_id())
        assert accepted is True, f"another process was told {accepted!r}: its cancel was not accepted"
        status = _final(job, harness)
        assert status is JobStatus.CANCELLED, f"a job that another process has cancelled ended as {status!r}"


class TaskReattachment:
    """What other processes can do beside with the jobs of a task backend."""

    @requires("durable", "logs")
    def test_what_a_job_wrote_is_read_in_another_process(self, harness: BackendHarness) -> None:
        """What a job has written can be read by another process than the one that submitted it."""
        harness.require_kind("command")
        job = harness.run(Command(["printf", "%s\\n", TEXT]))
        found = harness.in_other_process(_read_logs, job_id=job.job_id())
        assert found == [f"{TEXT}\n"], f"another process reads {found!r}, and the job wrote {TEXT!r}"

    @requires("durable")
    def test_a_pickled_handle_opens_in_another_process(self, harness: BackendHarness) -> None:
        """A handle can be pickled, and is a handle on the same job in another process."""
        # qiskit-aer#240, qiskit#6978
        sample = harness.samples[0]
        job = harness.run(_work(sample))
        try:
            handle = pickle.dumps(job)
        except Exception as error:
            raise AssertionError(f"a handle cannot be pickled: {error}") from error
        job_id, result = harness.in_other_process(_open_handle, handle=handle)
        assert job_id == job.job_id(), f"the handle on {job.job_id()} became one on {job_id}"
        _same_result(sample, result, "read by a pickled handle")

    @requires("durable")
    def test_jobs_are_listed_and_run_anew_by_another_process(self, harness: BackendHarness) -> None:
        """Another process finds jobs by name, tags and the beginning of their ids, and runs them anew."""
        mark = os.urandom(4).hex()
        name, tags = f"the kit's {mark}", {"kit's": f"a $tag {mark}"}
        jobs = harness.run_many([_work(sample) for sample in harness.samples], name=name, tags=tags)
        ids = [job.job_id() for job in jobs]
        (listed, tagged, short, anew), result = harness.in_other_process(
            _list_and_rerun, name=name, tags=tags
        )
        assert listed == ids, f"jobs(name={name!r}) gives {listed} in another process, not {ids}"
        assert tagged == ids, f"jobs(tags={tags!r}) gives {tagged} in another process, not {ids}"
        assert short == ids, f"the beginnings of the ids {ids} give {short} in another process"
        assert not set(anew) & set(ids), "jobs that are run anew have the ids of the old ones"
        for sample, each in zip(harness.samples, result, strict=True):
            _same_result(sample, each, "run anew by another process")

    def test_a_job_that_is_not_durable_leaves_nothing_behind(self, harness: BackendHarness) -> None:
        """A backend that says durable=False writes nothing down, and its jobs are not found elsewhere."""
        if harness.backend.capabilities.durable:
            raise SkipTest(f"{harness.name} declares durable=True")
        job = harness.run(_work(harness.samples[0]))
        harness.outcome(job)
        with closing(harness.reopen()) as anew:
            found = [each.job_id() for each in anew.session.jobs()]
        assert job.job_id() not in found, "another session finds a job of a backend that is not durable"
        message = harness.in_other_process(_not_found_message, job_id=job.job_id())
        assert message is not None, "another process finds a job of a backend that is not durable"
        assert job.job_id() in message, f"that the job is not found is said without its id: {message}"


def _work(sample: Samples) -> Any:
    return sample.succeeds if sample.echo is None else sample.echo(TEXT)


def _job(harness: BackendHarness, job_id: str) -> Any:
    """Find a job by its id, of which that of a plain backend is good for that alone."""
    backend = None if isinstance(harness.backend, TaskBackend) else harness.name
    try:
        return harness.session.get_job(job_id, backend=backend)
    except JobNotFoundError as error:
        raise AssertionError(f"a job of another process is not found: {error}") from error


def _final(job: Any, harness: BackendHarness) -> JobStatus:
    try:
        job.wait_for_final_state(timeout=harness.timeout, wait=1)
    except JobTimeoutError as error:
        raise AssertionError(str(error)) from error
    status: JobStatus = job.status()
    return status


def _result(sample: Samples, job: Any, harness: BackendHarness) -> Any:
    """The result, as something that another process can be told."""
    _final(job, harness)
    result = job.result()
    if sample.echo is not None:
        return sample.echoed(result)
    return None if sample.value is ANY else bool(result == sample.value)


def _same_result(sample: Samples, result: Any, where: str) -> None:
    if sample.echo is not None:
        assert result == TEXT, f"{sample.kind}: the result {where} is {result!r}, not {TEXT!r}"
    else:
        assert result is not False, f"{sample.kind}: the result {where} is not {sample.value!r}"


# --- what other processes do ----------------------------------------------------------------------


# Whoever has started the process waits for as long as the timeout is: here, it is shorter.


def _read_results(harness: BackendHarness, job_ids: Sequence[str]) -> list[tuple[str, Any]]:
    harness.timeout /= len(harness.samples) + 2
    answers = []
    for sample, job_id in zip(harness.samples, job_ids, strict=False):
        failure, result = "", None
        try:
            result = _result(sample, _job(harness, job_id), harness)
        except (AnyjobError, AssertionError) as error:
            failure = str(error)
        answers.append((failure, result))
    return answers


def _submit(harness: BackendHarness) -> list[str]:
    return [harness.run(_work(sample)).job_id() for sample in harness.samples]


def _cancel(harness: BackendHarness, job_id: str) -> Any:
    harness.timeout /= 3
    job = _job(harness, job_id)
    harness.wait_until(job.running, "a job that was submitted by another process, and runs")
    return job.cancel()


def _read_logs(harness: BackendHarness, job_id: str) -> list[str]:
    harness.timeout /= 3
    job = _job(harness, job_id)
    _final(job, harness)
    return list(job.logs())


def _open_handle(harness: BackendHarness, handle: bytes) -> tuple[str, Any]:
    harness.timeout /= 3
    set_default_session(harness.session)  # whose registry knows the backend
    job = pickle.loads(handle)
    return job.job_id(), _result(harness.samples[0], job, harness)


def _list_and_rerun(
    harness: BackendHarness, name: str, tags: dict[str, str]
) -> tuple[list[list[str]], list[Any]]:
    harness.timeout /= 3
    named, tagged = harness.session.jobs(name=name), harness.session.jobs(tags=tags)
    short = [harness.session.get_job(job.job_id()[:-1]) for job in named]
    anew = harness.session.rerun(named)
    result = [_result(sample, job, harness) for sample, job in zip(harness.samples, anew, strict=False)]
    return [[job.job_id() for job in some] for some in (named, tagged, short, anew)], result


def _not_found_message(harness: BackendHarness, job_id: str) -> str | None:
    try:
        harness.session.get_job(job_id)
    except JobNotFoundError as error:
        return str(error)
    return None

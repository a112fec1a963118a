"""What PSI/J promises of executors, by jobs of each kind; PSI/J's own suite is in its repository alone."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psij import InvalidJobException, Job, JobAttributes, JobExecutor, JobSpec, JobState, ResourceSpecV1

import anyjob

PATIENCE = timedelta(seconds=60)


@pytest.fixture
def executor() -> JobExecutor:
    return JobExecutor.get_instance("anyjob", url="local")


def run(executor: JobExecutor, spec: JobSpec) -> Job:
    """Run a job to its end."""
    job = Job(spec)
    executor.submit(job)
    assert job.wait(PATIENCE) is not None
    return job


def test_a_job_tells_each_state_once(executor: JobExecutor) -> None:
    seen: list[JobState] = []
    job = Job(JobSpec("/bin/true", name="a name"))
    job.set_job_status_callback(lambda job, status: seen.append(status.state))
    executor.submit(job)
    assert job.native_id is not None
    status = job.wait(PATIENCE)
    assert status is not None
    assert (status.state, status.exit_code) == (JobState.COMPLETED, 0)
    assert seen == [JobState.QUEUED, JobState.ACTIVE, JobState.COMPLETED]
    assert anyjob.get_job(job.native_id).metadata()["name"] == "a name"


def test_what_a_job_is_given_reaches_it(executor: JobExecutor, tmp_path: Path) -> None:
    hostile = "a b; $(touch x) \\'\"\nü"
    (tmp_path / "in").write_text("read")
    (tmp_path / "before.sh").write_text("export BEFORE=set\n")
    script = 'cat; printf "%s|" "$1" "$WORD" "$NUMBER" "$HOME" "$BEFORE"; pwd; echo to stderr >&2'
    options: dict[str, Any] = {
        "directory": tmp_path,
        "environment": {"WORD": hostile, "NUMBER": 7},
        "stdin_path": tmp_path / "in",
        "stdout_path": tmp_path / "out",
        "stderr_path": tmp_path / "err",
    }
    for more, home, before in (
        ({}, os.environ["HOME"], ""),
        ({"inherit_environment": False}, "", ""),
        ({"pre_launch": tmp_path / "before.sh"}, os.environ["HOME"], "set"),
    ):
        job = run(executor, JobSpec("/bin/sh", ["-c", script, "sh", hostile], **options, **more))
        assert job.status.state == JobState.COMPLETED, job.status
        said = (tmp_path / "out").read_text()
        assert said == f"read{hostile}|{hostile}|7|{home}|{before}|{tmp_path}\n"
        assert (tmp_path / "err").read_text() == "to stderr\n"


def test_several_processes_are_started_by_the_launcher_and_told_where_they_are(
    executor: JobExecutor, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    spec = JobSpec("/bin/sh", ["-c", 'wc -l < "$PSIJ_NODEFILE"'], stdout_path=out, launcher="multiple")
    spec.resources = ResourceSpecV1(process_count=2)
    assert run(executor, spec).status.state == JobState.COMPLETED
    assert out.read_text().split() == ["2", "2"]


def test_failures_say_why(executor: JobExecutor) -> None:
    failed = run(executor, JobSpec("/bin/sh", ["-c", "exit 3"])).status
    assert (failed.state, failed.exit_code) == (JobState.FAILED, 3)
    killed = run(executor, JobSpec("/bin/sh", ["-c", "kill -9 $$"])).status
    assert (killed.state, killed.exit_code) == (JobState.FAILED, -9)
    missing = run(executor, JobSpec("/no/such/program")).status
    assert missing.state == JobState.FAILED
    assert "/no/such/program" in str(missing.message)
    short = JobSpec("/bin/sleep", ["60"], attributes=JobAttributes(duration=timedelta(seconds=0.1)))
    assert "0.1" in str(run(executor, short).status.message)
    large = JobSpec("/bin/true", resources=ResourceSpecV1(process_count=4000))
    with pytest.raises(InvalidJobException, match="it asks for 4000 cpus"):
        executor.submit(Job(large))
    with pytest.raises(anyjob.UnknownNameError, match="no backend is called 'nowhere'"):
        JobExecutor.get_instance("anyjob", url="nowhere")


def test_a_job_is_attached_to_by_its_id_and_cancelled(executor: JobExecutor) -> None:
    job, again = Job(JobSpec("/bin/sleep", ["60"])), Job()
    executor.submit(job)
    other = JobExecutor.get_instance("anyjob", url="local")
    assert job.native_id in other.list()
    other.attach(again, job.native_id)
    job.wait(PATIENCE, [JobState.ACTIVE])
    again.cancel()
    for each in (job, again):
        status = each.wait(PATIENCE)
        assert status is not None
        assert status.state == JobState.CANCELED
    assert job.native_id not in other.list()
    with pytest.raises(InvalidJobException, match="no job"):
        other.attach(Job(), "nothing-of-ours")


def test_attributes_are_options_of_the_engines_that_have_them() -> None:
    from anyjob_psij.translation import resources_of

    attributes = JobAttributes(
        duration=timedelta(minutes=5),
        queue_name="gpu",
        account="me",
        custom_attributes={"slurm.constraint": "fast", "unrelated": 1},
    )
    needs = ResourceSpecV1(
        node_count=2, processes_per_node=3, cpu_cores_per_process=4, gpu_cores_per_process=1
    )
    spec = JobSpec("/bin/true", name="n", resources=needs, attributes=attributes)
    assert resources_of(spec, keeps_walltime=True) == {
        "name": "n",
        "cpus": 24,
        "gpus": 6,
        "nodes": 2,
        "walltime": 300.0,
        "options": {
            "slurm": {"partition": "gpu", "account": "me", "constraint": "fast"},
            "gridengine": {"queue": "gpu"},
        },
    }
    assert "walltime" not in resources_of(spec, keeps_walltime=False)

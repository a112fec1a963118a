"""Work on a real cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
import slurm_lab
from anyjob_slurm.backend import SlurmBackend
from support.waiting import wait_until

from anyjob import Call, Command, Config, JobRejectedError, JobStatus, Session
from conftest import Make

pytestmark = pytest.mark.engine("slurm")

PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def doomed(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A job that Slurm ends at its time limit, which it looks at every 30 s, while others are tested."""
    place = tmp_path_factory.mktemp("doomed")
    config = Config.from_dict({"backends": {"hpc": {"type": "slurm", "spool": str(place / "spool")}}})
    with Session(config, state=place / "state") as session:
        job = session.get_backend("hpc").run(Command(["sleep", "1000"]))
        wait_until(job.running)
        slurm_lab.scontrol("update", f"JobId={job.native_id()}", "EndTime=now+2")
        yield job


# --- what runs ------------------------------------------------------------------------------------


def test_a_bulk_is_one_array_and_few_questions(make: Make, programs: slurm_lab.Programs) -> None:
    """Snakemake-Profiles/slurm#74, submitit#1759: the number of calls does not grow with that of jobs."""
    backend = make(programs=str(programs.path))
    jobs = backend.map(abs, range(-40, 0), name=[f"size-{number}" for number in range(40)])
    assert [job.result(PATIENCE) for job in jobs] == list(range(40, 0, -1))
    assert len(programs.calls("sbatch")) == 1
    assert len(programs.calls()) < 10
    natives = [job.native_id().partition("_") for job in jobs]  # type: ignore[union-attr]
    assert len({job for job, _, _ in natives}) == 1
    assert [int(task) for _, _, task in natives] == list(range(40))


def test_a_heterogeneous_job_has_all_of_its_components(make: Make, programs: slurm_lab.Programs) -> None:
    """A bulk of them is no array, which Slurm refuses; each is found by the id of its first component."""
    backend = make(programs=str(programs.path))
    work = ["sh", "-c", "echo $SLURM_HET_SIZE; srun --het-group=0,1 sh -c 'echo task'"]
    jobs = backend.run_many([Command(work)] * 2, options={"slurm": {"components": [{"tasks": 2}]}})
    assert [job.result(PATIENCE).stdout.text().split() for job in jobs] == [["2", "task", "task", "task"]] * 2
    assert len(programs.calls("sbatch")) == 2
    waits = backend.run(Command(["sleep", "600"]), options={"slurm": {"components": [{"cpus": 1}]}})
    assert backend.find([waits.job_id()]) == {waits.job_id(): waits.native_id()}
    wait_until(waits.running)
    waits.cancel()
    assert waits.outcome(PATIENCE).status is JobStatus.CANCELLED
    left = slurm_lab.scontrol("show", "job", str(waits.native_id()))
    assert "JobState=RUNNING" not in left and left.count("JobState=") == 2  # noqa: PT018


def test_few_files_are_left_of_a_bulk(make: Make) -> None:
    backend = make()
    jobs = [*backend.run_many([Command(["echo", "1"])] * 10), *backend.map(abs, range(10))]
    assert [job.result(PATIENCE) is None for job in jobs] == [False] * 20
    left = [path for path in backend.spool_root.rglob("*") if not path.is_dir()]
    of_jobs = [path for path in left if path.parent.name in {job.job_id() for job in jobs}]
    assert len(of_jobs) == 10 * 2 + 10 * 1
    assert not [path for path in left if path.name.startswith("log-")]


def test_a_bulk_is_split_where_arrays_are_limited(make: Make, programs: slurm_lab.Programs) -> None:
    programs.wrap("scontrol", around='"$REAL" "$@" | sed "s/^MaxArraySize .*/MaxArraySize = 4/"')
    programs.wrap(
        "sbatch",
        'case "$*" in *--array=0-[4-9]*)'
        ' echo "sbatch: error: Invalid job array specification" >&2; exit 1;; esac',
    )
    backend = make(programs=str(programs.path))
    jobs = backend.run_many([Command(["echo", str(number)]) for number in range(10)])
    assert [job.result(PATIENCE).stdout.text() for job in jobs] == [f"{number}\n" for number in range(10)]
    assert [line.count("--array") for line in programs.calls("sbatch")] == [1, 1, 1, 1]
    assert len({job.native_id().partition("_")[0] for job in jobs}) == 3  # type: ignore[union-attr]


def test_a_spool_may_be_called_anything(make: Make, tmp_path: Path) -> None:
    backend = make(spool=str(tmp_path / "a %j '\"é $(x)"))
    jobs = backend.run_many([Command(["pwd"]), Command(["sh", "-c", 'echo "$ANYJOB_SPOOL"'])])
    assert jobs[0].result(PATIENCE).stdout.text() == f"{os.getcwd()}\n"
    assert jobs[1].result(PATIENCE).stdout.text().startswith(f"{tmp_path}/a %j '\"é $(x)/")
    assert backend.run(Call(abs, (-9,))).result(PATIENCE) == 9


def test_an_id_that_slurm_has_given_to_another_job_is_not_ours(make: Make) -> None:
    """blackfish#484: ids start again, as after a reinstallation; a row with another name is not ours."""
    held = make(extra=["--hold"]).run(Command(["true"]))
    sbatch = ["sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 1000"]
    other = subprocess.run(sbatch, check=True, capture_output=True, text=True).stdout.strip()
    try:
        backend = make()
        ours = msgspec.structs.replace(held._record.ticket(), native_id=other)
        wait_until(lambda: backend.observe([ours]) == {}, "the accounting was asked")
        assert backend.terminate([ours]) == {ours.job_id: False}
        assert slurm_lab.scontrol("show", "job", other).count("JobState=CANCELLED") == 0
        assert backend.terminate([held._record.ticket()]) == {held.job_id(): True}
        assert held.outcome(PATIENCE).status is JobStatus.CANCELLED
    finally:
        subprocess.run(["scancel", other], check=True)


def test_a_job_inside_of_a_job_is_like_any_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """snakemake-executor-plugin-slurm#22, #113: inherited SLURM_* broke nested submission."""
    for name, value in {
        "SLURM_JOB_ID": "1",
        "SLURM_MEM_PER_CPU": "9999999",
        "SBATCH_PARTITION": "nope",
        "SLURM_ARRAY_TASK_ID": "5",
        "SQUEUE_FORMAT": "%i",
        "SEED": "a\nb $(x) \udcff",
    }.items():
        monkeypatch.setenv(name, value)
    result = (
        make()
        .run(Command(["sh", "-c", 'printf %s "$SLURM_JOB_ID,$SLURM_MEM_PER_CPU,$SEED"']))
        .result(PATIENCE)
    )
    native, memory, seed = result.stdout.bytes().split(b",", 2)
    assert (native != b"1", memory, seed) == (True, b"64", b"a\nb $(x) \xff")


def test_export_selects_what_a_job_gets(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("TOKEN", "secret")
    job = make(export=["OMP_*"]).run(Command(["sh", "-c", 'echo "$OMP_NUM_THREADS,$TOKEN"']))
    assert job.result(PATIENCE).stdout.text() == "3,\n"


def test_setup_and_python_are_the_nodes(make: Make, tmp_path: Path) -> None:
    """Compute nodes need Python, and not anyjob."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho used >> {tmp_path}/log\nexec {sys.executable} -I "$@"\n')
    python.chmod(0o755)
    backend = make(python="python", setup=[f"PATH={tmp_path}:$PATH", "export LOADED=gcc/13"])
    assert backend.run(Call("os:getenv", ("LOADED",))).result(PATIENCE) == "gcc/13"
    look = Call("builtins:eval", ("'anyjob' in __import__('sys').modules",))
    assert backend.run(look).result(PATIENCE) is False
    assert (tmp_path / "log").read_text() == "used\nused\n"


def test_resources_reach_slurm(make: Make) -> None:
    job = make(extra=["--hold"]).run(
        Command(["true"]),
        cpus=2,
        memory="100MiB",
        walltime="90s",
        name="a name\nof mine",
        tags={"study": "ä b"},
        options={"slurm": {"partition": "batch"}, "other": {"x": 1}},
    )
    shown = slurm_lab.scontrol("show", "job", "-o", str(job.native_id()))
    for words in (
        "JobName=a_name_of_mine.anyjob-",
        "CPUs/Task=2",
        "MinMemoryNode=100M",
        "TimeLimit=00:02:00",
        "Partition=batch",
        "Comment=study=ä b",
        "Requeue=0",
    ):
        assert words in shown


def test_why_a_job_waits_is_shown(make: Make) -> None:
    job = make(extra=["--hold"]).run(Command(["true"]))
    wait_until(lambda: job.status() and job.metadata()["message"])
    assert (job.status(), job.metadata()["message"]) == (
        JobStatus.QUEUED,
        "it is held by you: `scontrol release` lets it start (JobHeldUser)",
    )


def test_what_is_prunable_is_pruned_from_the_spool(
    make: Make, anyjob_session: Session, tmp_path: Path
) -> None:
    job = make().run(Command(["true"]))
    job.result(PATIENCE)
    spool = tmp_path / "spool" / job.job_id()[:2] / job.job_id()
    assert spool.is_dir()
    assert not list((tmp_path / "spool" / "submissions").iterdir())
    anyjob_session.prune(0)
    assert not spool.exists()


def test_a_job_that_anyjob_did_not_submit_can_be_attached(make: Make) -> None:
    command = ["sbatch", "--parsable", "--output=/dev/null", "--wrap=exit 3"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    job = make().attach(done.stdout.strip())
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, 3)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"options": {"slurm": {"partition": "nope"}}}, "Invalid partition name specified"),
        ({"cpus": 1000}, "More processors requested than permitted"),
        ({"options": {"slurm": {"qos": "nope"}}}, "Invalid qos specification"),
        ({"walltime": "3d", "options": {"slurm": {"partition": "debug"}}}, "Requested time limit is invalid"),
        ({"options": {"slurm": {"account": "nope"}}}, "Invalid account"),
    ],
)
def test_what_slurm_refuses_is_told_in_its_words(
    backend: SlurmBackend, resources: dict[str, Any], words: str
) -> None:
    with pytest.raises(JobRejectedError, match=words) as raised:
        backend.run(Command(["true"]), **resources)
    assert "\n" not in str(raised.value)
    jobs = backend.run_many([Command(["true"])] * 2, **resources)
    assert [job.outcome().reason for job in jobs] == ["rejected"] * 2
    assert not any(backend.spool_root.glob("??/*"))


# --- what ends it ---------------------------------------------------------------------------------


def test_whoever_cancels_is_named(backend: SlurmBackend) -> None:
    """submitit#1766: found and cancelled from elsewhere."""
    job = backend.run(Command(["sleep", "100"]))
    wait_until(job.running)
    subprocess.run(["scancel", str(job.native_id())], check=True)
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.message) == (JobStatus.CANCELLED, "by root (uid 0)")


def test_pending_running_and_array_tasks_are_cancelled_at_once(
    make: Make, programs: slurm_lab.Programs
) -> None:
    """Parsl#2232: a mass cancel is one call."""
    backend = make(programs=str(programs.path))
    jobs = backend.run_many([Command(["sleep", "100"])] * 30)
    wait_until(lambda: any(job.running() for job in jobs))
    assert backend.cancel_many(jobs) == [True] * 30
    assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.CANCELLED}
    assert len(programs.calls("scancel")) == 1


def test_tasks_that_somebody_cancels_while_they_wait_are_cancelled(make: Make) -> None:
    backend = make(patience=1.0)
    jobs = backend.run_many([Command(["sleep", "100"])] * 3, options={"slurm": {"extra": ["--hold"]}})
    subprocess.run(["scancel", str(jobs[1].native_id())], check=True)
    assert jobs[1].outcome(PATIENCE).status is JobStatus.CANCELLED
    assert jobs[0].status() is JobStatus.QUEUED


def test_clean_up_of_a_call_runs_when_it_is_cancelled(backend: SlurmBackend, tmp_path: Path) -> None:
    """dask-jobqueue#640, executorlib#1049: TERM first, so that work can clean up."""
    script = (
        "import time\ntry:\n  open(f'{path}/up', 'w').close(); time.sleep(100)\n"
        "finally:\n  open(f'{path}/cleaned', 'w').close()"
    )
    job = backend.run(Call("builtins:exec", (script, {"path": str(tmp_path)})))
    wait_until((tmp_path / "up").exists)
    assert job.cancel()
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
    assert (tmp_path / "cleaned").exists()


@pytest.mark.skipif(not slurm_lab.is_root(), reason="only an administrator may take a node down")
def test_a_node_that_fails_is_named_as_the_reason(make: Make) -> None:
    job = make(extra=["--nodelist=slab2"]).run(Command(["sleep", "100"]))
    wait_until(job.running)
    slurm_lab.scontrol("update", "NodeName=slab2", "State=DOWN", "Reason=test")
    outcome = job.outcome(PATIENCE)
    wait_until(lambda: "slab2 idle" in slurm_lab.sinfo())  # it comes back by itself
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "node-failure")


@pytest.mark.skipif(not slurm_lab.is_root(), reason="only an administrator may start a requeued job at once")
def test_a_requeue_is_a_new_attempt_of_the_same_job(backend: SlurmBackend, tmp_path: Path) -> None:
    script = f"echo ran >> {tmp_path}/runs; [ $(wc -l < {tmp_path}/runs) -gt 1 ] || sleep 100"
    job = backend.run(Command(["sh", "-c", script]), restartable=True)
    wait_until(job.running)
    wait_until((tmp_path / "runs").exists)
    slurm_lab.scontrol("requeuehold", str(job.native_id()))
    wait_until(lambda: job.status() is JobStatus.QUEUED)
    assert job.metadata()["attempt"] == 2
    # A node does not launch a job in the second in which it has killed it.
    slurm_lab.scontrol("update", f"JobId={job.native_id()}", "StartTime=now+5")
    slurm_lab.scontrol("release", str(job.native_id()))
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.attempt) == (JobStatus.DONE, 2), outcome.message
    first, last = job.attempts()
    assert (first.followed_by, last.followed_by) == ("requeue", "")
    assert "started it anew" in first.message
    assert (tmp_path / "runs").read_text() == "ran\nran\n"


@pytest.mark.skipif(not slurm_lab.is_root(), reason="only an administrator may start a requeued job at once")
def test_a_job_goes_on_at_its_walltime_under_the_same_id(backend: SlurmBackend, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    script = f"echo out $ANYJOB_ATTEMPT; echo ran >> {runs}; [ $(wc -l < {runs}) -gt 1 ] || sleep 100"
    job = backend.run(Command(["sh", "-c", script]), walltime="1s", on_walltime="requeue")
    native_id = str(job.native_id())
    wait_until(lambda: job.status() is JobStatus.QUEUED and job.metadata()["attempt"] == 2)
    assert [list(job.logs(attempt=n)) for n in (1, 2)] == [["out 1\n"], []]
    slurm_lab.scontrol("update", f"JobId={native_id}", "StartTime=now+5")
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.attempt, job.native_id()) == (JobStatus.DONE, 2, native_id)
    found = [(each.number, each.reason, each.followed_by) for each in job.attempts()]
    assert found == [(1, "walltime", "requeue"), (2, None, "")]
    assert runs.read_text() == "ran\nran\n"
    assert [list(job.logs(attempt=n)) for n in (1, 2)] == [["out 1\n"], ["out 2\n"]]
    assert list(job.logs(follow=True, attempt=1)) == ["out 1\n", "out 2\n"]
    assert job.result().stdout.text() == "out 2\n"


def test_jobs_are_found_when_the_configuration_has_moved_on(
    make: Make, anyjob_open: Callable[..., Session], tmp_path: Path
) -> None:
    job_id = make().run(Call(pow, (7, 2))).job_id()
    options = {"type": "slurm", "partition": "batch", "spool": str(tmp_path / "elsewhere")}
    moved = anyjob_open({"backends": {"slurm": options}})
    assert moved.get_job(job_id).result(PATIENCE) == 49


def test_the_time_limit_of_slurm_is_the_walltime(doomed: Any) -> None:
    outcome = doomed.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "walltime")

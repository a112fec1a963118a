"""What is made of the words of PSI/J's executors, without their schedulers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from anyjob_psij.backend import PsijJobOptions
from anyjob_psij.dialect import ExecutorDialect

import anyjob
from anyjob import BackendError, BackendUnavailableError, JobStatus, Resources
from anyjob.sdk import Dialect, Submission


def dialect(executor: str) -> ExecutorDialect:
    words: Dialect = anyjob.get_backend("psij", executor=executor).words
    assert isinstance(words, ExecutorDialect)
    return words


def directives(executor: str, *, options: PsijJobOptions | None = None, **needs: Any) -> list[str]:
    what = Submission(
        "fit.anyjob-0", None, Resources(**needs), options or PsijJobOptions(), Path("/s/script"), Path("/s")
    )
    return [line[1:] for line in dialect(executor).script(what).splitlines() if line[:1] == "#"][1:]


@pytest.mark.parametrize(
    ("executor", "cpus", "walltime", "queue"),
    [
        ("slurm", "SBATCH --cpus-per-task=4", "SBATCH --time=1:31:0", 'SBATCH --partition="long"'),
        ("lsf", "BSUB -n 4", "BSUB -W 1:31", 'BSUB -q "long"'),
        ("cobalt", "COBALT --proccount=4", "COBALT --time=1:31:0", "COBALT --queue=long"),
        ("pbs", "PBS -l select=1:ncpus=4:mpiprocs=4", "PBS -l walltime=1:31:0", "PBS -q long"),
        ("pbs_classic", "PBS -l nodes=1:ppn=4", "PBS -l walltime=1:31:0", "PBS -q long"),
    ],
)
def test_what_a_job_needs_is_said_in_the_words_of_each(
    executor: str, cpus: str, walltime: str, queue: str
) -> None:
    said = directives(executor, cpus=4, walltime=5401.0, options=PsijJobOptions(queue="long"))
    assert {cpus, walltime, queue} <= set(said)


@pytest.mark.parametrize(("executor", "needs"), [("pbs", {"gpus": 1}), ("cobalt", {"memory": 2**30})])
def test_what_an_executor_leaves_out_is_refused(executor: str, needs: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(needs))}: PSI/J's '{executor}' has no words for it"):
        directives(executor, **needs)


def test_attributes_are_one_line_each() -> None:
    said = directives("lsf", options=PsijJobOptions(attributes={"lsf.core_isolation": "0"}))
    assert 'BSUB -core_isolation "0"' in said
    assert directives("lsf", options=PsijJobOptions(attributes={"lsf.core_isolation": 0})) == said
    with pytest.raises(ValueError, match="a line break"):
        PsijJobOptions(attributes={"lsf.P": "a\n#BSUB -q b"})
    with pytest.raises(ValueError, match=r"PSI/J takes `slurm\.qos`"):
        PsijJobOptions(attributes={"qos": "b"})


def test_a_spool_that_a_script_cannot_name_is_refused_before_anything_is_submitted(tmp_path: Path) -> None:
    what = Submission("x", None, Resources(), PsijJobOptions(), tmp_path / "a b" / "script", tmp_path / "a b")
    with pytest.raises(ValueError, match="set the option `spool` to a plain path"):
        dialect("slurm").submit(what)


LSF = """0
{"COMMAND":"bjobs","JOBS":3,"RECORDS":[
{"JOBID":"1","STAT":"PEND","EXIT_REASON":"","KILL_REASON":"","SUSPEND_REASON":""},
{"JOBID":"2","STAT":"RUN","EXIT_REASON":"","KILL_REASON":"","SUSPEND_REASON":""},
{"JOBID":"3","STAT":"EXIT","EXIT_REASON":"","KILL_REASON":"","SUSPEND_REASON":""}]}
"""
SLURM = "0\nJOBID  ST  REASON\n1  PD  Priority\n2  R  None\n3  TO  TimeLimit\n4  CA  None\n5  CD  None\n"


def test_rows_are_read_by_the_executor() -> None:
    assert [(row.job, row.status) for row in dialect("lsf").listed(LSF)] == [
        ("1", JobStatus.QUEUED),
        ("2", JobStatus.RUNNING),
        ("3", JobStatus.ERROR),
    ]
    rows = list(dialect("slurm").listed(SLURM))
    assert [row.status.name for row in rows] == ["QUEUED", "RUNNING", "ERROR", "CANCELLED", "DONE"]
    assert (rows[2].reason, rows[2].message) == (
        "walltime",
        "PSI/J says that it has failed: The job exhausted its time limit.",
    )


def test_no_jobs_and_an_outage_are_told_apart_by_the_executor() -> None:
    assert list(dialect("cobalt").listed("1\n \n")) == []
    with pytest.raises(BackendUnavailableError, match=r"^status command .* no server"):
        list(dialect("cobalt").listed("1\n no server\n"))


def test_of_several_cancels_those_are_told_that_were_refused() -> None:
    complaints = "1 255 Job <1>: Job has already finished\n2 255 Job <2>: Permission denied\n"
    assert list(dialect("lsf").cancelled(0, complaints)) == ["2"]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    what = Submission("x", None, Resources(), PsijJobOptions(), tmp_path / "script", tmp_path)
    with pytest.raises(ValueError, match="`bsub` of PSI/J's 'lsf' is not on PATH"):
        dialect("lsf").submit(what)


@pytest.mark.parametrize(
    ("executor", "why"),
    [("slrum", "No such executor .*slurm"), ("local", "this machine is the type `local`"), ("rp", "rp")],
)
def test_an_executor_that_is_none_of_a_batch_scheduler_is_refused(executor: str, why: str) -> None:
    with pytest.raises(BackendError, match=why):
        anyjob.get_backend("psij", executor=executor)


def test_the_signal_of_children_stays_the_programs_own() -> None:
    """PSI/J's import takes it."""
    program = (
        "import anyjob, signal; signal.signal(signal.SIGCHLD, mine := lambda *_: None); "
        "anyjob.get_backend('psij', executor='slurm'); assert signal.getsignal(signal.SIGCHLD) is mine"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

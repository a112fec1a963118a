"""What is ours: resources, jobs that fail, and jobs of a Snakemake that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snakemake_executor_plugin_anyjob.earlier import OUTPUTS, EarlierJobs
from snakemake_executor_plugin_anyjob.resources import resources_of
from support.waiting import wait_for_file

import anyjob
from anyjob import Command, JobStatus

NOTHING = {"memory": None, "walltime": None, "gpus": None, "nodes": None, "options": {}}


def start(directory: Path, snakefile: str, *options: str) -> subprocess.Popen[str]:
    """Start Snakemake on a workflow of this text."""
    if not (directory / "Snakefile").exists():  # for a newer one jobs are run anew
        (directory / "Snakefile").write_text(snakefile)
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--executor", "anyjob", "--jobs", "2", *options],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_a_rule_asks_for_is_asked_for_in_our_words() -> None:
    said = {"mem_mb": 2000, "runtime": 90, "gpu": 1, "nodes": 2, "slurm_partition": "gpu", "tmpdir": "/tmp"}
    assert resources_of(4, said, None) == {
        "cpus": 4,
        "memory": "2000MB",
        "walltime": 5400,
        "gpus": 1,
        "nodes": 2,
        "options": {"slurm": {"partition": "gpu"}},
    }
    assert resources_of(8, {"mem_mb": 5}, 2) == {**NOTHING, "cpus": 2, "memory": "500MB"}
    assert resources_of(0, {}, 2) == {**NOTHING, "cpus": 1}


def test_an_earlier_job_is_taken_up_as_long_as_what_it_reads_has_not_changed(tmp_path: Path) -> None:
    source, gate = tmp_path / "source", tmp_path / "gate"
    source.touch()
    os.utime(source, (0, 0))
    waits = ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.01; done"]
    tags = {"snakemake": str(tmp_path)}
    jobs = [anyjob.run(Command(waits, env={OUTPUTS: each}), "local", tags=tags) for each in "ab"]
    earlier = EarlierJobs(str(tmp_path))
    assert earlier.take_up("a", [str(source)]) == jobs[0]
    assert earlier.take_up("a", [str(source)]) is None  # once
    os.utime(source, (time.time() + 60, time.time() + 60))
    assert earlier.take_up("b", [str(source)]) is None
    assert jobs[1].status() is JobStatus.CANCELLED  # two would write the same files
    gate.touch()
    assert jobs[0].result(60).exit_code == 0
    assert EarlierJobs(str(tmp_path)).take_up("a", []) is None


WAITS = """
rule fit:
    output: "fit.txt"
    shell: "echo $$ >> ran; until [ -e gate ]; do sleep 0.01; done; echo fitted > {output}"
"""


def test_jobs_of_a_snakemake_that_was_killed_go_on_and_are_taken_up(tmp_path: Path) -> None:
    program = start(tmp_path, WAITS)
    try:
        wait_for_file(tmp_path / "ran")
    finally:
        program.send_signal(signal.SIGKILL)
        program.communicate()
    subprocess.run([sys.executable, "-m", "snakemake", "--unlock"], cwd=tmp_path, check=True)
    with start(tmp_path, WAITS, "--rerun-incomplete") as again:
        assert again.stdout is not None
        said = ""
        for line in again.stdout:
            said += line
            if "Job 0 was submitted" in line:
                (tmp_path / "gate").touch()
    assert "it is taken up" in said
    assert again.returncode == 0, said
    assert (tmp_path / "fit.txt").read_text() == "fitted\n"
    assert len((tmp_path / "ran").read_text().split()) == 1


FAILS = """
rule all:
    input: "good.txt", "bad.txt"

rule good:
    output: "good.txt"
    shell: "echo good > {output}"

rule bad:
    output: "bad.txt"
    threads: 3000
    shell: "echo told before the end >&2; exit 3"
"""


def test_a_job_that_fails_fails_alone_and_says_why(tmp_path: Path) -> None:
    with start(tmp_path, FAILS, "--keep-going", "--show-failed-logs") as program:
        said, _ = program.communicate(timeout=120)
    assert program.returncode == 1
    assert "anyjob explain" in said
    assert "told before the end" in said
    assert "gives 2 at most: it gets these" in said
    assert (tmp_path / "good.txt").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--anyjob-backend", "nowhere"), "no backend is called 'nowhere'"),
        (("--anyjob-backend", "processes", "--default-resources", "mem_mb=900"), "which is not kept to here"),
    ],
)
def test_what_cannot_be_is_said(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with start(tmp_path, FAILS, *options) as program:
        said, _ = program.communicate(timeout=120)
    assert program.returncode == 1
    assert message in said

"""Each job of `local` has its own GPUs, or its share of one, until nothing of the job is left."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running, until
from support.cli_program import anyjob, invoke
from support.made_up_nvml import OCCUPY, made_up_nvml

from anyjob.errors import ConfigError, JobRejectedError
from anyjob.job import JobStatus
from anyjob.specs import Call, Command

PATIENCE = 120.0
PRINT = 'echo "$CUDA_VISIBLE_DEVICES/$ROCR_VISIBLE_DEVICES"'
# Fails where another job has the device; takes a moment, so that it would meet that.
LOCKED = (
    'for d in $(echo "$CUDA_VISIBLE_DEVICES" | tr , " "); do mkdir "$1/$d" || exit 3; done; '
    f'sleep 0.02; {PRINT}; for d in $(echo "$CUDA_VISIBLE_DEVICES" | tr , " "); do rmdir "$1/$d"; done'
)

# Ends, and leaves a process behind that does not care for TERM.
LEAVES = (
    """trap "" TERM; sh -c 'trap "" TERM; echo $$ > "$1/new"; mv "$1/new" "$1/pid"; sleep 600' sh "$1" & """
    """until [ -e "$1/pid" ]; do sleep 0.01; done"""
)
# Fails where that lives.
CHECK = 'kill -0 $(cat "$1/pid") 2> /dev/null && exit 4; exit 0'


@pytest.fixture(autouse=True)
def _no_restriction(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ANYJOB_VISIBLE_GPUS"):
        monkeypatch.delenv(name, raising=False)


def visible(job: Any) -> str:
    return str(job.result(PATIENCE).stdout.text().strip())


def call_sees() -> str:
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_a_sweep_has_never_two_jobs_on_one_gpu(tmp_path: Path) -> None:
    """submitit#1696, hydra#2757: one GPU a job on one machine."""
    with running(tmp_path, slots=6, gpus=2) as own:
        work = [Command(["sh", "-c", LOCKED, "sh", str(tmp_path)]) for _ in range(20)]
        jobs = own.backend.run_many(work, gpus=1)
        seen = {visible(job) for job in jobs}
        assert seen == {"0/0", "1/1"}
        both = own.backend.run_many(work[:4], gpus=2)
        assert {visible(job) for job in both} == {"0,1/0,1"}


def test_a_call_sees_its_own_gpus(tmp_path: Path) -> None:
    with running(tmp_path, slots=2, gpus=["GPU-a", "MIG-b"]) as own:
        jobs = own.backend.run_many([Call(call_sees) for _ in range(6)], gpus=1)
        assert {job.result(PATIENCE) for job in jobs} <= {"GPU-a", "MIG-b"}
        assert own.backend.run(call_sees).result(PATIENCE) == ""


@pytest.mark.parametrize(
    "asked", [{"gpus": 0.5}, {"gpu_memory": "12GiB"}, {"gpus": 0.5, "gpu_memory": "1GiB"}]
)
def test_two_that_ask_for_half_share_a_gpu_and_a_third_waits(tmp_path: Path, asked: dict[str, Any]) -> None:
    with running(tmp_path, slots=4, gpus=1, gpu_memory="24GiB") as own:
        waits = Command(["sh", "-c", f"{PRINT}; read x < {own.fifo}"])
        first, second, third = own.backend.run_many([waits] * 3, **asked)
        until(lambda: first.status() is second.status() is JobStatus.RUNNING, "two run")
        assert third.status() is JobStatus.QUEUED
        with open(own.fifo, "wb", buffering=0) as pipe:
            pipe.write(b"\n")
            until(lambda: third.status() is JobStatus.RUNNING, "the third runs")
            pipe.write(b"\n\n")
            assert [visible(job) for job in (first, second, third)] == ["0/0"] * 3


def test_a_job_that_asks_for_none_sees_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    with running(tmp_path / "hidden", gpus=2) as own:
        assert visible(own.backend.run(Command(["sh", "-c", PRINT]))) == "/"
        # The restriction holds all the same, also for what a job submits.
        assert visible(own.backend.run(Command(["sh", "-c", PRINT]), gpus=1)) == "1/1"
        inner = own.backend.run(Command(["sh", "-c", "echo $ANYJOB_VISIBLE_GPUS"]), gpus=1)
        assert visible(inner) == "1,3"
    with running(tmp_path / "shown", gpus=2, hide_gpus=False) as own:
        assert visible(own.backend.run(Command(["sh", "-c", PRINT]))) == "1,3/"
    with running(tmp_path / "none") as own:
        assert visible(own.backend.run(Command(["sh", "-c", PRINT]))) == "1,3/"


@pytest.mark.parametrize(
    ("options", "asked", "message"),
    [
        ({"gpus": 2}, {"gpus": 3}, "it asks for 3 gpus, and there are 2: ask for fewer, or set `gpus`"),
        ({"gpus": 0}, {"gpus": 1}, "it asks for 1 gpus, and there are none"),
        (
            {"gpus": 2},
            {"gpu_memory": "1GiB"},
            "1GiB of a GPU, and nobody knows how much these have: set",
        ),
        (
            {"gpus": 2, "gpu_memory": "8GiB"},
            {"gpu_memory": "16GiB"},
            "it asks for 16GiB of a GPU, and there are 8GiB: ask for less",
        ),
        ({"resources": {"license": 2}}, {"needs": {"licence": 1}}, "does not count; did you mean 'license'"),
        ({"resources": {"license": 2}}, {"needs": {"license": 3}}, "it needs 3 of license, and there are 2"),
        ({"memory": "1GiB"}, {"memory": "2GiB"}, "it asks for 2GiB of memory, and there are 1GiB: ask for"),
    ],
)
def test_more_than_there_is_is_refused(
    tmp_path: Path, options: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    with running(tmp_path, **options) as own, pytest.raises(JobRejectedError, match=message):
        own.backend.run(Command(["true"]), **asked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpus": -1}, "gpus: -1 does not do"),
        ({"gpus": ["a,b"]}, "gpus: 'a,b' is no id of a GPU"),
        ({"gpus": [0, "0"]}, "gpus: '0' is there twice"),
        ({"memory": "16"}, "memory: '16' has no unit"),
        ({"gpu_memory": -1}, "gpu_memory: -1 does not do"),
        ({"resources": {"cpus": 2}}, "resources.cpus: that is told by itself"),
        ({"resources": {"license": -2}}, "resources.license: -2 does not do"),
        ({"resources": {"license": "two"}}, r"resources\.license: expected integer"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _ = Local(tmp_path, **options).backend


def test_a_gpu_is_free_when_nothing_of_its_job_is_left(tmp_path: Path) -> None:
    with running(tmp_path, slots=2, gpus=1, grace=0.5) as own:
        first = own.backend.run(Command(["sh", "-c", LEAVES, "sh", str(tmp_path)]), gpus=1)
        second = own.backend.run(Command(["sh", "-c", CHECK, "sh", str(tmp_path)]), gpus=1)
        assert first.result(PATIENCE).exit_code == 0
        assert second.result(PATIENCE).exit_code == 0


def test_the_next_supervisor_knows_who_has_which_gpu(tmp_path: Path) -> None:
    with running(tmp_path, slots=4, gpus=2) as own:
        hold = Command(["sh", "-c", f"{PRINT}; read x < {own.fifo}"])
        first = own.backend.run(hold, gpus=1)
        until(lambda: first.status() is JobStatus.RUNNING, "it runs")
        own.kill("supervisor")
        second = own.backend.run(hold, gpus=1)
        until(lambda: second.status() is JobStatus.RUNNING, "the second runs")
        third = own.backend.run(Command(["sh", "-c", PRINT]), gpus=2)
        other = own.backend.run(Command(["sh", "-c", PRINT]))
        assert other.status() is not JobStatus.ERROR
        assert third.status() is JobStatus.QUEUED
        with open(own.fifo, "wb", buffering=0) as pipe:
            pipe.write(b"\n\n")
            assert {visible(first), visible(second)} == {"0/0", "1/1"}
        assert visible(third) == "0,1/0,1"


def test_the_next_supervisor_knows_of_a_gpu_that_is_not_free_yet(tmp_path: Path) -> None:
    """The job has ended, what it left behind has not, and the supervisor dies: all of it is in the log."""
    with running(tmp_path, slots=2, gpus=1, grace=4.0) as own:
        first = own.backend.run(Command(["sh", "-c", LEAVES, "sh", str(tmp_path)]), gpus=1)
        assert first.result(PATIENCE).exit_code == 0
        own.kill("supervisor")
        second = own.backend.run(Command(["sh", "-c", CHECK, "sh", str(tmp_path)]), gpus=1)
        assert second.result(PATIENCE).exit_code == 0


def test_the_end_of_the_keeper_frees_its_gpus(tmp_path: Path) -> None:
    with running(tmp_path, slots=2, gpus=1) as own:
        first = own.backend.run(Command(["sleep", "600"]), gpus=1)
        until(lambda: first.status() is JobStatus.RUNNING, "it runs")
        own.kill("keeper")
        assert visible(own.backend.run(Command(["sh", "-c", PRINT]), gpus=1)) == "0/0"
        assert first.outcome().reason == "lost"


@pytest.mark.parametrize(
    ("options", "asked"),
    [({"memory": "1536MiB"}, {"memory": "1GiB"}), ({"resources": {"license": 1}}, {"needs": {"license": 1}})],
)
def test_what_is_counted_is_never_given_twice(
    tmp_path: Path, options: dict[str, Any], asked: dict[str, Any]
) -> None:
    with running(tmp_path, slots=4, **options) as own:
        alone = Command(
            ["sh", "-c", 'mkdir "$1/alone" || exit 3; sleep 0.02; rmdir "$1/alone"', "sh", str(tmp_path)]
        )
        jobs = own.backend.run_many([alone] * 8, **asked)
        assert [job.result(PATIENCE).exit_code for job in jobs] == [0] * 8


def test_what_a_job_had_is_known_however_soon_it_ended(tmp_path: Path) -> None:
    with running(tmp_path, slots=1, gpus=1) as own:
        jobs = own.backend.run_many([Command(["true"])] * 20, gpus=1)
        for job in jobs:
            job.wait_for_final_state(PATIENCE)
        assert [own.session.ledger.notes(job.job_id()) for job in jobs] == [{"anyjob.gpus": "0"}] * 20


@pytest.mark.usefixtures("local_cli")
def test_show_names_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[backends.local]\ntype = "local"\ngpus = ["GPU-a", "GPU-b"]\nresources = { license = 2 }\n'
    )
    monkeypatch.setenv("ANYJOB_CONFIG", str(config))
    ran = anyjob("run", "--gpus", "1", "--need", "license=2", "--", "sh", "-c", PRINT)
    assert ran.stdout == b"GPU-a/GPU-a\n"
    (job,) = json.loads(invoke("jobs", "--json").stdout)
    shown = invoke("show", job["job_id"]).stdout
    assert ["gpus", "GPU-a"] in [line.split() for line in shown.splitlines()]
    assert "gpus 1, needs license=2" in shown
    found = json.loads(invoke("show", job["job_id"], "--json").stdout)
    assert found["notes"] == {"anyjob.gpus": "GPU-a"}


def test_the_memory_of_gpus_is_told_beside_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that the job's own has started; nothing where the driver tells of none."""
    modules, gpu = made_up_nvml(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(modules))
    (tmp_path / "anyjob.toml").write_text('[backends.local]\ntype = "local"\ngpu_memory = "8GiB"\n')
    script = f'sh -c \'{OCCUPY}\' sh "$1" "$2" & wait'
    asked = ["run", "--gpu-memory", "6GiB", "--", "sh", "-c", script, "sh", str(gpu), str(3 << 30)]
    assert anyjob(*asked).returncode == 0
    assert anyjob("run", "--gpus", "1", "--", "true").returncode == 0
    shown = invoke("jobs", "--columns", "gpu-memory", "--no-refresh").stdout.splitlines()
    assert [line.strip() for line in shown] == ["gpu-memory", "3.0 GiB", ""]
    first, _ = (job["job_id"] for job in json.loads(invoke("jobs", "--json").stdout))
    assert "peak GPU memory  3.0 GiB of 6GiB" in invoke("show", first).stdout

"""Jobs that start after others, on a real cluster and across backends, though all that is ours is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import slurm_lab
from support.waiting import wait_until

import anyjob
from anyjob import Command, DependencyFailedError
from anyjob.testing.environment.leftover_processes import leftovers

pytestmark = pytest.mark.engine("slurm")

LIMIT = 60.0


class Pipeline:
    """Jobs that write their names down, below a state directory of their own."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        self.gate = root / "gate"
        self._ran = root / "ran"

    def step(self, name: str, code: int = 0, *, gated: bool = False) -> Command:
        wait = f"until [ -e '{self.gate}' ]; do sleep 0.05; done; " if gated else ""
        return Command(["sh", "-c", f"{wait}echo {name} >> '{self._ran}'; exit {code}"])

    @property
    def ran(self) -> list[str]:
        return self._ran.read_text().splitlines() if self._ran.exists() else []

    def kill_all(self) -> None:
        """Kill all that is ours, but not the jobs that Slurm runs."""
        for pid in leftovers(self.state):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def pipeline(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("ANYJOB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ANYJOB_BACKENDS__HPC__TYPE", "slurm")
    monkeypatch.setenv("ANYJOB_BACKENDS__HPC__SPOOL", str(tmp_path / "spool"))
    anyjob.set_default_session(None)
    yield Pipeline(tmp_path)
    for job in anyjob.jobs(state=["QUEUED", "RUNNING"]):
        job.cancel()


@pytest.fixture
def faulty(pipeline: Pipeline, programs: slurm_lab.Programs, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Slurm's programs, as the backend has them, with faults to set."""
    monkeypatch.setenv("ANYJOB_BACKENDS__HPC__PROGRAMS", str(programs.path))
    return programs


@pytest.mark.parametrize(
    "places", [("hpc", "hpc", "hpc"), ("local", "hpc", "local"), ("hpc", "local", "hpc")]
)
def test_a_pipeline_survives_the_death_of_all_that_is_ours(
    pipeline: Pipeline, places: tuple[str, str, str]
) -> None:
    """Issue 19, done when: fit, evaluate and report rerun nothing that was done, whoever was killed."""
    fit = anyjob.run(pipeline.step("fit", gated=places[0] == "hpc"), backend=places[0], name="fit")
    if places[0] == "local":
        fit.result(LIMIT)
    evaluate = anyjob.run(
        pipeline.step("evaluate", gated=True), backend=places[1], after=fit, name="evaluate"
    )
    report = anyjob.run(pipeline.step("report"), backend=places[2], after=evaluate, name="report")
    if places[0] == "hpc":
        wait_until(fit.running, "the first runs")
    pipeline.kill_all()
    pipeline.gate.touch()
    assert report.result(LIMIT).exit_code == 0
    assert [job.result(LIMIT).exit_code for job in (fit, evaluate)] == [0, 0]
    assert pipeline.ran == ["fit", "evaluate", "report"]


def test_a_client_that_was_killed_is_not_needed(pipeline: Pipeline, tmp_path: Path) -> None:
    program = f"""
import anyjob, os
fit = anyjob.run(["sh", "-c", "until [ -e '{pipeline.gate}' ]; do sleep 0.05; done"], backend="local")
anyjob.run(["sh", "-c", "echo evaluate > '{tmp_path}/ran'"], backend="hpc", after=fit)
os.kill(os.getpid(), 9)
""".replace("run([", "run(anyjob.Command([").replace("],", "]),")
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    pipeline.gate.touch()
    wait_until(lambda: pipeline.ran == ["evaluate"], "it was handed over", LIMIT)


@pytest.mark.parametrize(
    "around",
    [
        "kill -9 $PPID; exit 1",
        '"$REAL" "$@"; kill -9 $PPID',
        'kill -9 $PPID; sleep 3; exec "$REAL" "$@"',
    ],
    ids=["before", "after", "late"],
)
def test_a_releaser_that_is_killed_while_it_submits_does_so_once(
    pipeline: Pipeline, faulty: slurm_lab.Programs, around: str
) -> None:
    """Even where Slurm takes what the one that was killed had submitted when the next has looked for it."""
    fit = anyjob.run(pipeline.step("fit", gated=True), backend="local")
    evaluate = anyjob.run(pipeline.step("evaluate"), backend="hpc", after=fit)
    report = anyjob.run(pipeline.step("report"), backend="hpc", after=evaluate)
    mark = faulty.path / "die"
    mark.touch()
    real = 'exec "$REAL" "$@"'
    faulty.wrap("sbatch", around=f'if rm "$HERE/die" 2> /dev/null; then {around}; fi; {real}')
    pipeline.gate.touch()
    assert report.result(LIMIT).exit_code == 0
    assert evaluate.result(LIMIT).exit_code == 0
    assert not mark.exists(), "it was killed"
    assert pipeline.ran == ["fit", "evaluate", "report"]


def test_bulks_follow_each_other_as_arrays(pipeline: Pipeline, faulty: slurm_lab.Programs) -> None:
    backend = anyjob.get_backend("hpc")
    gate = anyjob.run(pipeline.step("gate", gated=True), backend="local")
    fits = backend.run_many([pipeline.step("fit", code=int(i == 1)) for i in range(3)], after=gate)
    checks = backend.run_many([pipeline.step("check")] * 3, after=lambda index: fits[index])
    pipeline.gate.touch()
    failures = [job.exception(LIMIT) for job in checks]
    assert [type(failure) for failure in failures] == [type(None), DependencyFailedError, type(None)]
    assert sorted(pipeline.ran) == sorted(["gate"] + 3 * ["fit"] + 2 * ["check"])
    assert len([call for call in faulty.calls("sbatch") if "--array=0-2" in call]) == 1

"""Crashes, delays and outages, on a real cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_lab
from support.waiting import wait_until
from test_slurm_cluster import PATIENCE

from anyjob import BackendError, BackendUnavailableError, Command, JobStatus
from conftest import Make

pytestmark = pytest.mark.engine("slurm")

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
LATE = """\
    cat > "$HERE/script"
    (sleep {seconds}; "$REAL" "$@" < "$HERE/script" > "$HERE/landed") > /dev/null 2>&1 &
    exec sleep 60
"""


def ran(path: Path) -> int:
    return path.read_text().count("ran") if path.exists() else 0


def once(path: Path) -> Command:
    return Command(["sh", "-c", f"echo ran >> {path}"])


def test_a_submission_that_lands_late_is_found_and_runs_once(
    make: Make, programs: slurm_lab.Programs, tmp_path: Path
) -> None:
    """submitit#1659: sbatch was slow and timed out."""
    programs.wrap("sbatch", around=LATE.format(seconds=2))
    backend = make(programs=str(programs.path), timeout=1.0)
    jobs = backend.run_many([once(tmp_path / "runs")] * 3)
    assert [job.native_id() for job in jobs] == [None] * 3
    assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.DONE}
    assert ran(tmp_path / "runs") == 3
    assert all(job.native_id() for job in jobs)
    assert len(programs.calls("sbatch")) == 1


def test_one_that_lands_after_it_was_given_up_does_not_run(
    make: Make, programs: slurm_lab.Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.wrap("sbatch", around=LATE.format(seconds=4))
    backend = make(programs=str(programs.path), timeout=1.0)
    monkeypatch.setattr(backend, "grace", 0.5)
    job = backend.run(once(tmp_path / "runs"))
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "lost")
    landed = programs.path / "landed"
    wait_until(lambda: landed.exists() and landed.read_text())
    native_id = landed.read_text().strip()
    wait_until(lambda: "JobState=FAILED" in slurm_lab.scontrol("show", "job", native_id))
    assert ran(tmp_path / "runs") == 0


def test_of_two_copies_one_ends_itself(make: Make, programs: slurm_lab.Programs, tmp_path: Path) -> None:
    """executorlib#412, PR#721: never run twice."""
    programs.wrap("sbatch", 'cat > "$HERE/script"; "$REAL" "$@" < "$HERE/script" > "$HERE/first"',
                  'exec "$REAL" "$@" < "$HERE/script"')  # fmt: skip
    slow = Command(["sh", "-c", f"echo ran >> {tmp_path}/runs; sleep 2"])
    job = make(programs=str(programs.path)).run(slow)
    job.outcome(PATIENCE)
    copies = [(programs.path / "first").read_text().strip(), str(job.native_id())]
    wait_until(lambda: all(slurm_lab.has_ended(native_id) for native_id in copies))
    assert ran(tmp_path / "runs") == 1


def test_a_program_that_is_missing_is_told_at_once(make: Make, programs: slurm_lab.Programs) -> None:
    """Parsl#3235: a missing sbatch was retried ten times."""
    (programs.path / "sbatch").unlink()
    with pytest.raises(BackendError, match="`sbatch` of Slurm is not in") as raised:
        make(programs=str(programs.path)).run(Command(["true"]))
    assert not isinstance(raised.value, BackendUnavailableError)
    assert programs.calls() == []


def test_a_cluster_without_accounting_tells_what_ends_jobs(make: Make, programs: slurm_lab.Programs) -> None:
    """snakemake-executor-plugin-slurm#38: accounting disabled is no crash."""
    programs.wrap("sacct", around='echo "Slurm accounting storage is disabled" >&2; exit 1')
    backend = make(programs=str(programs.path))
    job = backend.run(Command(["sleep", "100"]))
    wait_until(job.running)
    subprocess.run(["scancel", str(job.native_id())], check=True)
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
    assert backend.run(Command(["sh", "-c", "kill -9 $$"])).outcome(PATIENCE).reason == "signal"


def test_an_accounting_that_hangs_holds_nothing_up(make: Make, programs: slurm_lab.Programs) -> None:
    """snakemake-executor-plugin-slurm#207: an outage of the accounting hung."""
    programs.wrap("sacct", around="exec sleep 60")
    backend = make(programs=str(programs.path), timeout=1.0)
    job = backend.run(Command(["sleep", "100"]))
    wait_until(job.running)
    subprocess.run(["scancel", str(job.native_id())], check=True)
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED


def test_a_spool_that_nodes_do_not_see_is_told(make: Make, tmp_path: Path) -> None:
    backend = make(patience=1.0)
    job = backend.run(Command(["true"]), options={"slurm": {"extra": ["--hold"]}})
    shutil.rmtree(tmp_path / "spool" / "submissions")
    slurm_lab.scontrol("release", str(job.native_id()))
    outcome = job.outcome(PATIENCE)
    assert outcome.status is JobStatus.ERROR
    assert "does not see the spool" in outcome.message


def test_a_python_that_is_not_there_is_told(make: Make) -> None:
    job = make(python="no-such-python", patience=0.5).run(Command(["true"]))
    outcome = job.outcome(PATIENCE)
    assert (outcome.reason, outcome.exit_code) == ("exit-code", 127)
    assert "no-such-python" in outcome.message


def test_claims_are_read_before_slurm_is_asked(make: Make, programs: slurm_lab.Programs) -> None:
    backend = make(programs=str(programs.path))
    job = backend.run(Command(["sleep", "100"]))
    wait_until(job.running)
    asked = len(programs.calls("squeue"))
    assert backend.find([job.job_id()]) == {job.job_id(): job.native_id()}
    assert len(programs.calls("squeue")) == asked
    job.cancel()


@pytest.fixture
def outage() -> Iterator[None]:
    """An outage of the whole of Slurm; afterwards it is up again."""
    try:
        subprocess.run([SCRIPTS / "slurm-down", "--keep-jobs"], check=True, stdout=subprocess.DEVNULL)
        yield
    finally:
        subprocess.run([SCRIPTS / "slurm-up"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.skipif(not slurm_lab.is_root(), reason="only an administrator may stop Slurm")
def test_an_outage_in_the_middle_of_a_sweep_loses_nothing(
    make: Make, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backend = make(timeout=2.0)
    script = f"echo ran >> {tmp_path}/runs; sleep 1"
    jobs = backend.run_many([Command(["sh", "-c", script])] * 24)
    wait_until(lambda: any(job.running() for job in jobs))
    request.getfixturevalue("outage")
    subprocess.run([SCRIPTS / "slurm-up"], check=True, stdout=subprocess.DEVNULL)
    assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.DONE}
    assert ran(tmp_path / "runs") == 24

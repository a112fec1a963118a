"""What Grid Engine does that others do not, on a real cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from anyjob_gridengine.backend import GridEngineBackend
from gridengine_lab import Programs, sge
from support.waiting import wait_until

from anyjob import Call, Command, JobRejectedError, JobStatus, Session
from anyjob.views.details.facts_of import collect
from anyjob.views.explanation.explain import explain
from conftest import Make

pytestmark = pytest.mark.engine("gridengine")

PATIENCE = 60.0


def test_a_bulk_is_one_array_and_few_questions(make: Make, programs: Programs) -> None:
    """Snakemake-Profiles/slurm#74, submitit#1759: the number of calls does not grow with that of jobs."""
    backend = make(programs=str(programs.path))
    jobs = backend.map(abs, range(-12, 0), name="sizes")
    assert [job.result(PATIENCE) for job in jobs] == list(range(12, 0, -1))
    assert len(programs.calls("qsub")) == 1
    assert len(programs.calls()) < 20
    assert len({str(job.native_id()).partition(".")[0] for job in jobs}) == 1


def test_a_bulk_is_split_where_arrays_are_limited(make: Make, programs: Programs) -> None:
    refusal = "job rejected: max_aj_tasks: only 4 tasks are allowed"
    programs.wrap(
        "qsub",
        f'case "$*" in *"-t 1-"[5-9]*|*"-t 1-1"*) echo "Unable to run job: {refusal}" >&2; exit 1;; esac',
    )
    backend = make(programs=str(programs.path))
    jobs = backend.run_many([Command(["echo", str(number)]) for number in range(10)])
    assert [job.result(PATIENCE).stdout.text() for job in jobs] == [f"{number}\n" for number in range(10)]
    assert len({str(job.native_id()).partition(".")[0] for job in jobs}) < 8


@pytest.mark.parametrize("code", [99, 100])
def test_exit_codes_that_mean_something_to_it_end_the_job_once(
    backend: GridEngineBackend, tmp_path: Path, code: int
) -> None:
    """99 starts a job anew, for ever, even with -r n; 100 holds it in an error state."""
    job = backend.run(Command(["sh", "-c", f"echo ran >> {tmp_path}/runs; exit {code}"]))
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.reason, outcome.exit_code) == (JobStatus.ERROR, "exit-code", code)
    wait_until(lambda: sge("qstat", "-u", "*").find(f" {job.native_id()} ") < 0)
    assert (tmp_path / "runs").read_text() == "ran\n"


@pytest.mark.parametrize("code", [99, 100])
def test_setup_that_ends_so_is_told(make: Make, code: int) -> None:
    outcome = (
        make(setup=["echo no module >&2", f"exit {code}"], patience=0.5)
        .run(Command(["true"]))
        .outcome(PATIENCE)
    )
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "exit-code")
    assert "no module" in outcome.message


def test_a_job_in_an_error_state_ends_with_its_words(make: Make) -> None:
    held = make(extra=["-a", "203001010000"]).run(Command(["true"]))
    native = str(held.native_id())
    subprocess.run(["qalter", "-wd", "/no/such", native], check=True, capture_output=True)
    subprocess.run(["qalter", "-a", "202001010000", native], check=True, capture_output=True)
    outcome = held.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "node-failure")
    assert "can't chdir to /no/such" in outcome.message
    wait_until(lambda: f" {native} " not in sge("qstat", "-u", "*"))


def test_a_job_that_is_deleted_while_it_waits_is_cancelled_though_no_record_is_left(make: Make) -> None:
    backend = make(extra=["-a", "203001010000"], patience=0.5)
    ours, others = backend.run(Command(["true"])), backend.run_many([Command(["true"])] * 3)
    assert ours.cancel()
    assert ours.outcome(PATIENCE).status is JobStatus.CANCELLED
    subprocess.run(["qdel", str(others[1].native_id())], check=True, capture_output=True)
    assert others[1].outcome(PATIENCE).status is JobStatus.CANCELLED
    assert others[0].status() is JobStatus.QUEUED
    assert backend.cancel_many(others) == [True, False, True]


def test_clean_up_of_a_call_runs_when_it_is_cancelled_and_nothing_is_left(
    backend: GridEngineBackend, tmp_path: Path
) -> None:
    """dask-jobqueue#640: TERM first. qdel lets children live that have a session of their own."""
    script = (
        "import os, subprocess, time\n"
        "left = subprocess.Popen(['setsid', 'sleep', '1000'])\n"
        "open(f'{path}/pid', 'w').write(str(left.pid))\n"
        "try:\n  os.rename(f'{path}/pid', f'{path}/up'); time.sleep(100)\n"
        "finally:\n  open(f'{path}/cleaned', 'w').close()"
    )
    job = backend.run(Call("builtins:exec", (script, {"path": str(tmp_path)})))
    wait_until((tmp_path / "up").exists)
    assert job.cancel()
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
    assert (tmp_path / "cleaned").exists()
    left = (tmp_path / "up").read_text()
    wait_until(
        lambda: not Path(f"/proc/{left}").exists() or "sleep" not in Path(f"/proc/{left}/comm").read_text()
    )


def test_who_else_deletes_a_job_is_noticed(backend: GridEngineBackend) -> None:
    job = backend.run(Command(["sleep", "100"]))
    wait_until(job.running)
    subprocess.run(["qdel", str(job.native_id())], check=True, capture_output=True)
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.message) == (JobStatus.CANCELLED, "by somebody else")


def test_a_program_that_kills_itself_was_not_cancelled(backend: GridEngineBackend) -> None:
    """The accounting says the same of both: failed 100, exit status 137."""
    outcome = backend.run(Command(["sh", "-c", "kill -9 $$"])).outcome(PATIENCE)
    assert (outcome.status, outcome.reason, outcome.signal) == (JobStatus.ERROR, "signal", 9)


def test_text_reaches_a_job_as_it_is(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-v splits at commas, -b y splits arguments anew, a name that is not ASCII reads like an outage."""
    odd = "a,b='c' \"d\" $e\n\\ é"
    monkeypatch.setenv("ODD", odd)
    monkeypatch.setenv("SECONDS", "7")
    monkeypatch.setenv("SGE_TASK_ID", "5")
    backend = make(spool=str(tmp_path / "a:b,c %j '\"é $(x) \\n"))
    command = Command(["sh", "-c", 'printf "%s|%s|%s|%s" "$1" "$ODD" "$SECONDS" "$SGE_TASK_ID"', "sh", odd])
    result = backend.run(command, name=f"naïve 1/2 {odd}", tags={"study": odd}).result(PATIENCE)
    assert result.stdout.text() == f"{odd}|{odd}|7|undefined"


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"options": {"gridengine": {"queue": "nope"}}}, 'job requests unknown queue "nope"'),
        (
            {"cpus": 2, "options": {"gridengine": {"pe": "nope"}}},
            'parallel environment "nope" does not exist',
        ),
        ({"options": {"gridengine": {"resources": ["nope=1"]}}}, 'unknown resource "nope"'),
        ({"nodes": 2}, "a job of this backend has one"),
    ],
)
def test_what_it_refuses_is_told_in_its_words(
    backend: GridEngineBackend, resources: dict[str, Any], words: str
) -> None:
    with pytest.raises(JobRejectedError, match=words) as raised:
        backend.run(Command(["true"]), **resources)
    assert "\n" not in str(raised.value)
    assert not any(backend.spool_root.glob("??/*"))


def test_why_a_job_never_starts_is_explained(
    backend: GridEngineBackend, anyjob_open: Callable[[Mapping[str, Any]], Session]
) -> None:
    job = backend.run(Command(["true"]), cpus=5000)
    session = anyjob_open({})
    told = explain(collect(session, session.ledger.rows([job.job_id()])[job.job_id()]))
    assert ": no queue can ever run it as it is: cannot run in PE" in told.headline


def test_an_id_that_was_given_to_another_job_is_not_ours(make: Make) -> None:
    """blackfish#484: ids start again; a row with another name is not ours."""
    held = make(extra=["-a", "203001010000"]).run(Command(["true"]))
    other = sge("qsub", "-terse", "-h", "-b", "y", "-o", "/dev/null", "-e", "/dev/null", "true").strip()
    try:
        backend = make(patience=100.0)
        ours = msgspec.structs.replace(held._record.ticket(), native_id=other)
        wait_until(lambda: backend.observe([ours]) == {})  # the accounting is not asked all the time
        assert backend.terminate([ours]) == {ours.job_id: False}
        assert f" {other} " in sge("qstat", "-u", "*")
    finally:
        subprocess.run(["qdel", other], check=True, capture_output=True)


def test_a_job_that_anyjob_did_not_submit_can_be_attached(make: Make) -> None:
    native = sge(
        "qsub", "-terse", "-b", "y", "-o", "/dev/null", "-e", "/dev/null", "sh", "-c", "'exit 3'"
    ).strip()
    outcome = make(patience=0.5).attach(native).outcome(PATIENCE)
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, 3)


def test_a_requeue_is_a_new_attempt(make: Make, tmp_path: Path) -> None:
    script = f"echo ran >> {tmp_path}/runs; [ $(wc -l < {tmp_path}/runs) -gt 1 ] || sleep 100"
    job = make(patience=0.5).run(Command(["sh", "-c", script]), restartable=True)
    wait_until((tmp_path / "runs").exists)
    subprocess.run(["qmod", "-rj", str(job.native_id())], check=True, capture_output=True)
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.attempt) == (JobStatus.DONE, 2), outcome.message
    assert (tmp_path / "runs").read_text() == "ran\nran\n"


def test_a_job_goes_on_at_its_walltime_under_the_same_id(backend: GridEngineBackend, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    script = f"echo out $ANYJOB_ATTEMPT; echo ran >> {runs}; [ $(wc -l < {runs}) -gt 1 ] || sleep 100"
    job = backend.run(Command(["sh", "-c", script]), walltime="1s", on_walltime="requeue")
    native_id = job.native_id()
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.attempt, job.native_id()) == (JobStatus.DONE, 2, native_id)
    assert runs.read_text() == "ran\nran\n"
    assert [list(job.logs(attempt=n)) for n in (1, 2)] == [["out 1\n"], ["out 2\n"]]
    assert list(job.logs(follow=True, attempt=1)) == ["out 1\n", "out 2\n"]
    assert job.result().stdout.text() == "out 2\n"


def test_its_own_limit_is_the_walltime(backend: GridEngineBackend) -> None:
    """failed 37 may be walltime or memory."""
    job = backend.run(Command(["sh", "-c", "trap '' TERM; sleep 100; sleep 100"]), walltime=2)
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "walltime"), outcome.message

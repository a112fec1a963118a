"""The commands for jobs that outlive their client, with real jobs on the `local` backend."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.cli_program import anyjob, invoke, start
from support.durable_state import durable_state
from support.waiting import wait_for_file, wait_until, wait_until_running

import anyjob as library
from anyjob import Call, Command, JobStatus
from anyjob.builtin.local.backend import LocalBackend
from anyjob.cli.app import main
from anyjob.cli.jobs import selection

pytestmark = pytest.mark.usefixtures("local_cli")


def submit(spec: Any, **resources: Any) -> Any:
    return library.get_backend("local").run(spec, **resources)


def ended(spec: Any, **resources: Any) -> str:
    job = submit(spec, **resources)
    job.wait_for_final_state(60)
    return str(job.job_id())


def shell(text: str) -> Command:
    return Command(["sh", "-c", text])


# --- result, wait, logs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text", "as_json"),
    [
        (Call("math:factorial", (5,)), "120\n", 120),
        (Call("builtins:str", ("two\nlines",)), "two\nlines\n", "two\nlines"),
        (Call("builtins:dict", (), {"a": (1, None)}), "{'a': (1, None)}\n", {"a": [1, None]}),
        (Call("builtins:print", ()), "", None),
    ],
)
def test_the_result_of_a_call(call: Call, text: str, as_json: Any) -> None:
    job_id = ended(call)
    done = invoke("result", job_id[:12])
    assert (done.exit_code, done.stdout) == (0, text)
    assert json.loads(invoke("result", job_id, "--json").stdout) == as_json


def test_the_result_of_a_command_is_what_it_wrote_byte_for_byte() -> None:
    job_id = ended(shell("printf '\\377\\n'; echo err >&2"))
    assert anyjob("result", job_id).stdout == b"\xff\n"
    assert json.loads(invoke("result", job_id, "--json").stdout) == {
        "exit_code": 0,
        "stdout": "�\n",
        "stderr": "err\n",
    }


def test_a_result_that_json_does_not_know() -> None:
    done = invoke("result", ended(Call("builtins:complex", (1, 2))), "--json")
    assert (done.exit_code, done.stdout) == (125, "")
    assert "cannot be written as JSON" in done.stderr


def test_a_result_is_found_where_its_submitter_looked(tmp_path: Path) -> None:
    Path("shapes.py").write_text(
        "class Box:\n    def __repr__(self): return 'Box()'\ndef make(): return Box()\n"
    )
    sys.path.insert(0, str(tmp_path))
    job_id = ended(Call("shapes:make"))
    done = anyjob("result", job_id, cwd="/")
    assert (done.returncode, done.stdout) == (0, b"Box()\n"), done.stderr


def test_failures_have_their_reason_and_code() -> None:
    """ibmq-provider#390, submitit PR#1715: poor failure messages."""
    job_id = ended(shell("echo no space left >&2; exit 3"))
    done = invoke("result", job_id)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "exit code 3" in done.stderr
    assert "no space left" in done.stderr
    done = invoke("wait", job_id)
    assert done.exit_code == 3
    assert done.stderr == f"anyjob: job {job_id}: ERROR (exit-code): exit code 3\n"
    done = invoke("result", ended(Call("builtins:int", ("x",))))
    assert done.exit_code == 1
    assert "ValueError: invalid literal" in done.stderr


def test_what_has_not_ended_in_time() -> None:
    job = submit(Command(["sleep", "60"]))
    for command in ("result", "wait"):
        done = invoke(command, job.job_id(), "--timeout", "0s")
        assert (done.exit_code, done.stdout) == (124, "")
        assert "has not ended within 0 s" in done.stderr
    assert invoke("cancel", job.job_id()).stdout == "1 cancelled\n"
    done = invoke("result", job.job_id())
    assert done.exit_code == 130
    assert f"job {job.job_id()} was cancelled" in done.stderr
    assert invoke("cancel", job.job_id()).stdout == "1 ended before\n"


def test_wait_for_several() -> None:
    for code in (0, 0, 1):
        submit(shell(f"exit {code}"), name="several", tags={"code": str(code)})
    bad = [submit(shell("echo no room >&2; exit 2"), name="several") for _ in range(2)]
    never = submit(shell(""), name="several", after=bad[0])
    done = invoke("wait", "--name", "several")
    assert done.exit_code == 1
    first, *why = done.stderr.splitlines()
    assert first == "anyjob: 2 DONE, 4 ERROR"
    assert why[0].endswith("several): exit code 1")
    assert why[1:3] == [
        f"anyjob: error: 2 jobs failed, the first ({bad[0].job_id()[:8]} several): exit code 2",
        "  no room",
    ]
    assert why[3].startswith(f"anyjob: error: a job failed ({never.job_id()[:8]} several): what it needs did")
    assert len(why) == 4
    assert invoke("wait", "--tag", "code=0").exit_code == 0
    assert "no job fits" in invoke("wait", "--tag", "code=7").stderr


def test_logs_of_both_streams_and_of_one() -> None:
    job_id = ended(shell("echo out; printf '\\377err' >&2"))
    done = anyjob("logs", job_id)
    assert (done.stdout, done.stderr) == (b"out\n", b"\xfferr")
    done = anyjob("logs", "--stderr", job_id)
    assert (done.stdout, done.stderr) == (b"\xfferr", b"")
    done = anyjob("logs", "-f", "--stdout", job_id)
    assert (done.stdout, done.stderr) == (b"out\n", b"")


def test_logs_are_followed_live_until_the_end(tmp_path: Path) -> None:
    go = tmp_path / "go"
    job = submit(shell(f"echo one; echo two >&2; until [ -e {go} ]; do sleep 0.01; done; echo three"))
    with start("logs", "-f", job.job_id()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"one\n"
        assert process.stderr.readline() == b"two\n"
        go.touch()
        assert process.stdout.read() == b"three\n"
    assert process.returncode == 0


@pytest.mark.parametrize("command", [("logs", "-f"), ("wait",), ("result",)])
def test_ctrl_c_leaves_and_the_job_goes_on(command: tuple[str, ...], tmp_path: Path) -> None:
    job = submit(shell("echo here; exec sleep 60"))
    with start(*command, job.job_id()) as process:
        if command[0] == "logs":
            assert process.stdout is not None
            assert process.stdout.readline() == b"here\n"
        else:
            listening(process.pid)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    wait_until_running(job)
    job.cancel()


INTERRUPTED_UNSEEN = """
import signal, sys, threading
main_thread = threading.main_thread().native_id
waits = threading.Event()

def interrupt():
    waits.wait()
    while open(f"/proc/self/task/{main_thread}/stat").read().rpartition(")")[2].split()[0] != "S":
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

class Event(threading.Event):
    def wait(self, timeout=None):
        waits.set()
        return super().wait(timeout)

threading.Thread(target=interrupt, daemon=True).start()
from anyjob.cli.jobs import logs
logs.threading = type(sys)("threading")
logs.threading.Event, logs.threading.Thread = Event, threading.Thread
from anyjob.cli import main
main()
"""
"""The program, where Ctrl-C does not wake the main thread: as when it comes right before that waits."""


def test_ctrl_c_that_does_not_wake_the_main_thread_ends_logs_all_the_same() -> None:
    job = submit(shell("echo here; exec sleep 1000"))
    command = [sys.executable, "-c", INTERRUPTED_UNSEEN, "logs", "-f", job.job_id()]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 130, done.stderr
    wait_until_running(job)
    job.cancel()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_goes_leaves_the_job_running(number: int) -> None:
    with start("run", "--name", f"left-{number}", "--", "sh", "-c", "echo here; exec sleep 60") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    (job,) = library.jobs(name=f"left-{number}")
    assert process.returncode == 128 + number
    wait_until_running(job)
    assert f"job {job.job_id()} goes on: `anyjob wait {job.job_id()}` waits for it" in told.decode()
    job.cancel()


def test_ctrl_c_cancels_what_run_has_started() -> None:
    with start("run", "--name", "stopped", "--", "sh", "-c", "echo here; exec sleep 60") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    (job,) = library.jobs(name="stopped")
    assert process.returncode == 130
    assert job.status() is JobStatus.CANCELLED


def listening(pid: int) -> None:
    """Wait until a process has connected to the supervisor, and so waits for a job."""
    import psutil

    wait_until(lambda: psutil.Process(pid).num_threads() > 1)


def test_nobody_reads_the_logs_any_more() -> None:
    job = submit(shell("while :; do echo line; sleep 0.01; done"))
    with start("logs", "-f", job.job_id()) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 141
    wait_until_running(job)
    job.cancel()


# --- cancel and rerun -----------------------------------------------------------------------------


def test_a_cancel_that_a_backend_would_not_take_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, done = submit(Command(["sleep", "60"]), name="goes on"), ended(Command(["true"]))
    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "terminate", lambda self, tickets: {})
        refused = invoke("cancel", waits.job_id(), done)
    assert (refused.exit_code, refused.stdout) == (1, "1 ended before, 1 not cancelled\n")
    assert invoke("cancel", "goes on").exit_code == 0


@pytest.mark.parametrize("command", ["hold", "release", "pause", "resume", "priority"])
def test_what_was_not_done_to_a_job_of_an_id_is_exit_code_1(command: str) -> None:
    done = ended(Command(["true"]), name=f"too late to {command}")
    number = ["5"] if command == "priority" else []
    assert invoke(command, done, *number).exit_code == 1
    assert invoke(command, "--name", "too late", "--yes", *number).exit_code == 0, "nothing fits"


def test_many_are_cancelled_by_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """submitit#1766, Parsl#2232: find running jobs and cancel them; mass cancel timed out."""
    jobs = library.get_backend("local").run_many([Command(["sleep", "60"])] * 300, name="many")
    calls: list[int] = []
    terminate = LocalBackend.terminate

    def counting(self: LocalBackend, tickets: Sequence[Any]) -> Any:
        calls.append(len(tickets))
        return terminate(self, tickets)

    monkeypatch.setattr(LocalBackend, "terminate", counting)
    assert invoke("cancel", "--name", "many").stdout == "300 cancelled\n"
    assert calls == [300]
    # The command has closed the session that it was run by; those that ran end by and by.
    found = [library.get_job(job.job_id()) for job in jobs]
    assert {job.outcome(60).status for job in found} == {JobStatus.CANCELLED}
    assert invoke("cancel", "--name", "many").stdout == "no job fits\n"


def test_filters_that_fit_several_ask_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = library.get_backend("local").run_many([Command(["sleep", "60"])] * 2, name="asked")
    monkeypatch.setattr(selection, "_is_interactive", lambda: True)
    done = invoke("cancel", "--name", "asked")
    assert done.exit_code == 130
    assert "cancel 2 jobs? [y/N]" in done.stderr
    assert not any(job.cancelled() for job in jobs)
    CliRunner().invoke(main, ["cancel", "--name", "asked", "--state", "queued,running"], input="y\n")
    # The commands have closed the session that they were run by, and its backends.
    found = [library.get_job(job.job_id()) for job in jobs]
    assert {job.outcome(60).status for job in found} == {JobStatus.CANCELLED}
    assert "0 jobs" not in invoke("cancel", "--name", "asked", "--yes").stderr


def test_rerun_runs_anew_what_has_failed(tmp_path: Path) -> None:
    (tmp_path / "fixed").mkdir()
    os.chdir(tmp_path / "fixed")
    library.get_backend("local").run_many(
        [shell("test -e mark && pwd"), shell("true")], name="again", tags={"t": "1"}
    )
    assert invoke("wait", "--name", "again").exit_code == 1
    Path("mark").touch()
    os.chdir("/")
    done = invoke("rerun", "--name", "again", "--walltime", "1m", "--detach")
    assert (done.exit_code, done.stderr) == (0, "anyjob: 1 run anew\n")
    (job_id,) = done.stdout.split()
    assert invoke("result", job_id).stdout == f"{tmp_path}/fixed\n"
    found = json.loads(invoke("show", job_id, "--json").stdout)
    assert found["resources"] == {"walltime": 60.0}
    assert (found["name"], found["tags"]) == ("again", {"t": "1"})
    assert os.getcwd() == "/"


def test_a_rerun_takes_the_place_of_its_original() -> None:
    """Three times `rerun --state failed` makes three jobs, and a name means the newest."""
    job_id = ended(shell("exit 3"), name="flaky")
    made = [job_id]
    for _ in range(3):
        (new,) = invoke("rerun", "--detach", "--name", "flaky", "--state", "failed").stdout.split()
        assert invoke("wait", new).exit_code == 3
        made.append(new)
    shown = json.loads(invoke("show", "flaky", "--json").stdout)
    assert (shown["job_id"], shown["rerun_of"], shown["superseded_by"]) == (made[3], made[2], None)
    assert json.loads(invoke("show", made[1], "--json").stdout)["superseded_by"] == made[2]
    assert f"run anew as  {made[2]}" in invoke("show", made[1]).stdout
    assert [job["job_id"] for job in json.loads(invoke("jobs", "--name", "flaky", "--json").stdout)] == made[
        3:
    ]
    assert [
        job["job_id"]
        for job in json.loads(invoke("jobs", "--name", "flaky", "--json", "--superseded").stdout)
    ] == made
    assert [job.job_id() for job in library.jobs(name="flaky")] == made[3:]


@pytest.mark.parametrize("command", ["show", "wait", "logs", "result", "cancel", "rerun"])
def test_a_name_of_hex_digits_means_no_other_job(command: str) -> None:
    """With a dozen jobs, `cancel e` once meant the one whose id happened to begin with e."""
    others = [ended(shell("true")) for _ in range(3)]
    digit = next(each[:3] for each in others if not library.jobs(name=each[:3]))
    named = ended(shell("echo mine"), name=digit)
    assert library.get_job(digit).job_id() == named
    done = invoke(command, digit)
    assert done.exit_code == 0, done.stderr
    assert {job.job_id() for job in library.jobs()} >= {*others, *([named] if command != "rerun" else [])}


@pytest.mark.parametrize("command", ["show", "wait", "logs", "result", "cancel", "rerun"])
def test_where_a_name_and_an_id_fit_both_are_listed_and_nothing_is_done(command: str) -> None:
    other = ended(shell("true"))
    named = ended(shell("true"), name=other[:7])
    before = len(library.jobs(superseded=True))
    done = invoke(command, other[:7])
    assert done.exit_code == 125
    assert other in done.stderr
    assert named in done.stderr
    assert len(library.jobs(superseded=True)) == before
    with pytest.raises(library.JobNotFoundError, match="fits several jobs"):
        library.get_job(other[:7])


def test_rerun_by_id_takes_what_is_done_too() -> None:
    job_id = ended(shell("echo again"))
    (new,) = invoke("rerun", job_id, "--detach").stdout.split()
    assert new != job_id
    assert invoke("result", new).stdout == "again\n"


def test_rerun_waits_as_run_does(tmp_path: Path) -> None:
    job_id = ended(shell(f"cat {tmp_path}/code; exit $(cat {tmp_path}/code)"))
    for code in (3, 0):
        (tmp_path / "code").write_text(str(code))
        done = anyjob("rerun", job_id)
        assert (done.returncode, done.stdout) == (code, str(code).encode()), done.stderr
    backend = library.get_backend("local")
    backend.run_many([shell("exit 3")] * 2, name="both")
    invoke("wait", "--name", "both")
    several = invoke("rerun", "--name", "both")
    assert (several.exit_code, several.stdout) == (1, "")
    said, why = several.stderr.splitlines()[:2], several.stderr.splitlines()[2:]
    assert said == ["anyjob: 2 run anew", "anyjob: 2 ERROR"]
    assert len(why) == 1
    assert why[0].endswith(" both): exit code 3")


@pytest.mark.parametrize("several", [False, True])
def test_ctrl_c_cancels_what_is_run_anew(several: bool) -> None:
    name = f"stopped-{several}"
    jobs = library.get_backend("local").run_many([Command(["sleep", "1000"])] * (1 + several), name=name)
    library.get_backend("local").cancel_many(jobs)
    library.wait(jobs, timeout=60)
    with start("rerun", "--name", name) as process:
        wait_until(lambda: any(job.running() for job in library.jobs(name=name)), timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert {job.status().name for job in library.jobs(name=name)} == {"CANCELLED"}


# --- show -----------------------------------------------------------------------------------------


def test_show_tells_what_a_job_waits_for() -> None:
    jobs = library.get_backend("local", slots=1).run_many([Command(["sleep", "60"])] * 3, name="queue")
    wait_until_running(jobs[0])
    found = json.loads(invoke("show", jobs[2].job_id(), "--json").stdout)
    assert (found["state"], found["queue_position"]) == ("QUEUED", 2)
    assert found["message"] == "waits for its turn: 1 running on 1 slot"
    table = invoke("jobs", "--name", "queue", "--columns", "state,position").stdout.splitlines()
    assert [line.split() for line in table[1:]] == [["RUNNING"], ["QUEUED", "1"], ["QUEUED", "2"]]
    invoke("cancel", "--name", "queue", "--yes")


# --- clients that die -----------------------------------------------------------------------------


def test_a_job_outlives_a_client_that_is_killed(tmp_path: Path) -> None:
    """executorlib#412, PR#721: a job should outlive its client; and it is submitted once.

    submitit#1707, psij-python#399: jobs are found again after the process that had them died.
    """
    go, ran = tmp_path / "go", tmp_path / "ran"
    script = f"echo begun; echo x >> {ran}; until [ -e {go} ]; do sleep 0.01; done; echo finished"
    with start("run", "--name", "killed", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
    (row,) = json.loads(invoke("jobs", "--name", "killed", "--json").stdout)
    wait_until_running(library.get_job(row["job_id"]))
    go.touch()
    assert invoke("wait", row["job_id"]).exit_code == 0
    assert invoke("logs", row["job_id"]).stdout == "begun\nfinished\n"
    assert wait_for_file(ran) == "x\n"


def test_a_look_is_enough_to_have_lost_jobs_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsl#1588, aiida-core#1505: not taken for finished, and not for running either."""
    from anyjob.testing.environment.leftover_processes import end_leftovers

    with durable_state(tmp_path) as state:
        job = submit(Command(["sleep", "60"]))
        wait_until_running(job)
        job.backend().close()
        end_leftovers(state)
        (row,) = json.loads(anyjob("jobs", "--json").stdout)
        assert (row["state"], row["reason"]) == ("ERROR", "lost")


def test_a_name_does_for_an_id() -> None:
    first = ended(shell("echo one"), name="named")
    assert invoke("result", "named").stdout == "one\n"
    assert invoke("logs", "named").stdout == "one\n"
    assert json.loads(invoke("show", "named", "--json").stdout)["job_id"] == first
    second = ended(shell("echo two"), name="named")
    told = invoke("result", "named")
    assert told.exit_code == 125
    assert first in told.stderr
    assert second in told.stderr


def test_rerun_says_that_what_went_well_is_not_run_anew() -> None:
    ended(shell("exit 0"), name="went-well")
    assert "no job fits that has failed" in invoke("rerun", "--name", "went-well").stderr

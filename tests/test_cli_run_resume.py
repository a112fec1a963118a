"""``anyjob run sweep.toml`` goes on where it was left off, and ``--detach``."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from support.cli_program import invoke, start
from support.waiting import wait_until

SOME = """
name = "some"
[command]
argv = ["sh", "-c", "echo {a} >> ran; [ {a} != 3 ] || [ -e fixed ]"]
cwd = "."
[matrix]
a = [1, 2, 3]
"""


pytestmark = pytest.mark.usefixtures("local_cli")


def job_file(text: str) -> str:
    Path("jobs.toml").write_text(text)
    return "jobs.toml"


def states(table: str) -> list[str]:
    return [line.split()[1] for line in table.splitlines()[1:]]


def ran() -> list[str]:
    return sorted(Path("ran").read_text().split())


def test_what_is_done_is_not_run_again() -> None:
    done = invoke("run", job_file(SOME))
    assert (done.exit_code, states(done.stdout)) == (1, ["DONE", "DONE", "ERROR"])
    assert "before" not in done.stderr
    Path("fixed").touch()
    done = invoke("run", "jobs.toml")
    assert (done.exit_code, states(done.stdout)) == (0, ["DONE"] * 3)
    assert "anyjob: some: 2 done before, 0 still queued or running, 1 new\n" in done.stderr
    assert ran() == ["1", "2", "3", "3"]
    done = invoke("run", "jobs.toml")
    assert "3 done before, 0 still queued or running, 0 new" in done.stderr
    assert (states(done.stdout), len(ran())) == (["DONE"] * 3, 4)


def test_fresh_runs_all_anew() -> None:
    Path("fixed").touch()
    invoke("run", job_file(SOME))
    done = invoke("run", "jobs.toml", "--fresh")
    assert (states(done.stdout), len(ran())) == (["DONE"] * 3, 6)
    assert "before" not in done.stderr


def test_results_of_before_are_in_the_table() -> None:
    text = '[python]\ncall = "math:factorial"\nargs = ["{n}"]\n[matrix]\nn = [3, 4]\n'
    first = invoke("run", job_file(text))
    again = invoke("run", "jobs.toml", "-p", "n=4,5,3")
    assert [line.split() for line in again.stdout.splitlines()[1:]] == [
        ["4", "DONE", "24"],
        ["5", "DONE", "120"],
        ["3", "DONE", "6"],
    ]
    assert "2 done before, 0 still queued or running, 1 new" in again.stderr
    assert "before" not in first.stderr


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ('[resources]\nwalltime = "1h"\n', 3),
        ("", 3),
        ('name = "other"\n', 3),
    ],
)
def test_what_makes_no_other_job_of_it(change: str, count: int) -> None:
    Path("fixed").touch()
    invoke("run", job_file(SOME))
    text = SOME.replace('name = "some"\n', change) if change.startswith("name") else SOME + change
    assert f"{count} done before" in invoke("run", job_file(text), "--tag", "a=b").stderr


def test_what_makes_another_job_of_it() -> None:
    text = '[command]\nargv = ["cat"]\nstdin = "in"\nenv = { A = "1" }\n'
    Path("in").write_text("one")
    invoke("run", job_file(text))
    assert "1 done before" in invoke("run", "jobs.toml").stderr
    Path("in").write_text("two")
    assert "before" not in invoke("run", "jobs.toml").stderr
    assert "before" not in invoke("run", job_file(text.replace('A = "1"', 'A = "2"'))).stderr
    Path("other").mkdir()
    Path("other/jobs.toml").write_text(Path("jobs.toml").read_text())
    Path("other/in").write_text("two")
    assert "before" not in invoke("run", "other/jobs.toml").stderr


def test_the_same_work_several_times_is_as_many_jobs() -> None:
    text = '[command]\nargv = ["sh", "-c", "echo x >> ran"]\ncwd = "."\n[matrix]\nrepeat = [1, 2]\n'
    invoke("run", job_file(text))
    done = invoke("run", "jobs.toml", "-p", "repeat=1,2,3")
    assert "2 done before, 0 still queued or running, 1 new" in done.stderr
    assert ran() == ["x"] * 3
    ids = [invoke("run", "jobs.toml", "--detach").stdout.split() for _ in range(2)]
    assert ids[0] == ids[1]
    known = [row["job_id"] for row in json.loads(invoke("jobs", "--limit", "3", "--json").stdout)]
    assert ids[0] == [job_id for job_id in known if job_id in ids[0]]


def test_a_sweep_whose_client_was_killed_is_waited_for() -> None:
    """executorlib#412, PR#721: a restart submitted it twice."""
    text = """
[command]
argv = ["sh", "-c", "echo {a} >> ran; until [ -e go ]; do sleep 0.01; done"]
cwd = "."
[matrix]
a = { range = [0, 6] }
"""
    with start("run", job_file(text)) as process:
        wait_until(lambda: Path("ran").exists())
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with start("run", "jobs.toml") as process:
        assert process.stderr is not None
        told = [process.stderr.readline().decode() for _ in range(2)]
        Path("go").touch()
        out, _ = process.communicate(timeout=60)
    assert told[1] == "anyjob: jobs.toml: 0 done before, 6 still queued or running, 0 new\n"
    assert (process.returncode, states(out.decode())) == (0, ["DONE"] * 6)
    assert ran() == list("012345")


def test_a_backend_that_is_not_durable_knows_nothing_of_before() -> None:
    for _ in range(2):
        done = invoke("run", job_file(SOME), "-b", "threads", "--json")
        assert "before" not in done.stderr
        assert json.loads(done.stdout)["jobs"][0]["tags"] == {}


# --- --detach -------------------------------------------------------------------------------------


def test_detach_prints_the_id_alone() -> None:
    done = invoke("run", "--detach", "--name", "away", "--tag", "a=b", "--", "sh", "-c", "echo here")
    assert (done.exit_code, done.stderr) == (0, "")
    (row,) = json.loads(invoke("jobs", "--name", "away", "--json").stdout)
    assert done.stdout == f"{row['job_id']}\n"
    assert row["tags"] == {"a": "b"}
    assert invoke("result", row["job_id"]).stdout == "here\n"


def test_detach_of_other_work_and_as_json() -> None:
    done = invoke("run", "--detach", "--type", "python", "--fn", "math:sqrt", "--args", "16", "--json")
    told = json.loads(done.stdout)
    assert told["backend"] == "local"
    assert invoke("result", told["job_id"]).stdout == "4.0\n"


def test_detach_of_a_job_file_prints_the_ids_of_all_its_jobs() -> None:
    Path("fixed").touch()
    first = invoke("run", job_file(SOME), "--detach")
    ids = first.stdout.split()
    assert (first.exit_code, len(ids)) == (0, 3)
    assert invoke("wait", *ids).exit_code == 0
    again = invoke("run", "jobs.toml", "--detach")
    assert again.stdout.split() == ids
    assert again.stderr == "anyjob: some: 3 done before, 0 still queued or running, 0 new\n"
    told = json.loads(invoke("run", "jobs.toml", "--detach", "--json").stdout)
    assert [job["job_id"] for job in told["jobs"]] == ids
    assert len(ran()) == 3


@pytest.mark.parametrize("work", [["--", "true"], ["jobs.toml"]])
def test_detach_needs_a_backend_whose_jobs_go_on(work: list[str]) -> None:
    job_file(SOME)
    done = invoke("run", "-b", "threads", "--detach", *work)
    assert (done.exit_code, done.stdout) == (125, "")
    assert "backend threads cannot run jobs that outlive this process" in done.stderr
    assert not Path("ran").exists()


def test_fresh_is_for_job_files() -> None:
    done = invoke("run", "--fresh", "--", "true")
    assert done.exit_code == 125
    assert "--fresh can be given with a job file only" in done.stderr


# --- --once -----------------------------------------------------------------------------------------


def test_a_command_is_run_once() -> None:
    command = ["run", "--once", "k", "--", "sh", "-c", "echo x >> ran; echo hello"]
    first, again = invoke(*command), invoke(*command)
    assert (first.stdout, first.exit_code) == (again.stdout, again.exit_code) == ("hello\n", 0)
    assert ran() == ["x"]
    assert invoke("run", "--once", "other", *command[3:]).exit_code == 0
    assert ran() == ["x", "x"]
    ids = [invoke("run", "--detach", "--once", "k", "--cache", "1d", *command[3:]).stdout for _ in range(2)]
    assert ids[0] == ids[1]
    invoke("run", "--once", "k", "--cache", "0s", *command[3:])
    assert ran() == ["x"] * 3


def test_a_command_that_failed_is_run_anew() -> None:
    command = ["run", "--once", "k", "--", "sh", "-c", "echo x >> ran; [ -e fixed ]"]
    assert invoke(*command).exit_code == 1
    Path("fixed").touch()
    assert [invoke(*command).exit_code for _ in range(2)] == [0, 0]
    assert ran() == ["x", "x"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--once", "k", "jobs.toml"], "--once can be given with a command or --type: a job file goes on by"),
        (["--once", "k", "-b", "threads", "--", "true"], "forgets its jobs when this process ends"),
        (["--cache", "1d", "--", "true"], "cache= says more of once=, which is missing"),
        (["--once", "k", "--cache", "soon", "--", "true"], "cache"),
    ],
)
def test_what_once_cannot_mean_is_said(words: list[str], told: str) -> None:
    job_file(SOME)
    done = invoke("run", *words)
    assert (done.exit_code, told in done.stderr) == (125, True), done.stderr


def test_two_steps_with_the_same_work_are_two_jobs() -> None:
    work = 'command = { argv = ["sh", "-c", "echo x >> ran"], cwd = "." }\n'
    text = f'[[job]]\nname = "a"\n{work}\n[[job]]\nname = "b"\nneeds = ["a"]\n{work}'
    for told in ("2 new jobs of 2", "0 new jobs of 2"):
        assert told in invoke("run", job_file(text)).stderr
    assert ran() == ["x", "x"]

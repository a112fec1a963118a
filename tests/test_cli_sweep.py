"""``anyjob run FILE.toml``: the jobs of a job file."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import anyjob, invoke, start

from anyjob import BaseBackend, Config, Order, Registry, Session, Ticket, set_default_session
from anyjob.builtin.threads import ThreadsBackend
from anyjob.cli.run.sweeps.report import MOST_OUTPUT, parse_json_object
from anyjob.cli.run.sweeps.sweep import parse_axis
from anyjob.taskjob import TaskJob

POWERS = """
name = "powers"
backend = "threads"
[command]
argv = ["python3", "-c", "import json; print(json.dumps(dict(base={base}, value={base}**2, note='n{base}')))"]
[matrix]
base = [2, 10]
"""

SOME_FAIL = """
[command]
argv = ["sh", "-c", "echo working >&2; echo no {why} left >&2; exit {code}"]
[matrix]
code = [0, 3]
why = ["space", "time"]
index = [1, 2, 3]
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    set_default_session(None)


def job_file(text: str, name: str = "jobs.toml") -> str:
    Path(name).write_text(text)
    return name


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def test_a_limit_is_of_a_name_which_either_the_file_or_the_command_line_gives() -> None:
    nameless = job_file(POWERS.replace('name = "powers"', ""))
    done = invoke("run", "--limit", "2", nameless)
    told = '--limit is of the jobs of one name: say which, as --name fit, or name = "fit" in the file'
    assert (done.exit_code, done.stderr) == (125, f"anyjob: error: {told}\n")
    for given in (["--name", "n", nameless], [job_file(POWERS, "named.toml")]):
        done = invoke("run", "--limit", "2", *given)
        assert "'threads' cannot limit how many jobs of a name" in done.stderr


def test_a_row_for_each_job_with_what_it_printed() -> None:
    done = invoke("run", job_file(POWERS))
    assert done.exit_code == 0
    assert rows(done.stdout) == [
        ["base", "state", "value", "note"],
        ["2", "DONE", "4", "n2"],
        ["10", "DONE", "100", "n10"],
    ]
    first, *ended = done.stderr.splitlines()
    assert first == "anyjob: powers: 2 jobs on threads"
    assert sorted(line.partition("] ")[2] for line in ended) == ["DONE base=10", "DONE base=2"]


def test_the_command_line_goes_before_the_file() -> None:
    done = invoke("run", job_file(POWERS), "-b", "inline", "-p", "base=3,4", "--tag", "a=b", "--json")
    told = json.loads(done.stdout)
    assert told["backend"] == "inline"
    assert [job["parameters"] for job in told["jobs"]] == [{"base": 3}, {"base": 4}]
    assert [job["result"]["value"] for job in told["jobs"]] == [9, 16]
    assert {job["name"] for job in told["jobs"]} == {"powers"}
    assert told["jobs"][0]["tags"] == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "values"),
    [("1,2", [1, 2]), ("a, 2.5", ["a", 2.5]), ('["a,b", true]', ["a,b", True]), ("x", ["x"]), ("{", ["{"])],
)
def test_values_of_an_axis(text: str, values: list[Any]) -> None:
    assert parse_axis(text) == values


def test_of_two_values_for_one_key_none_is_dropped() -> None:
    done = invoke("run", job_file(POWERS), "-p", "base=3", "-p", "base=4")
    assert "-p has 'base' twice, '3' and '4': give all values of it at once: -p AXIS=1,2" in done.stderr
    assert "--tag has 'a' twice, '1' and '2': give it once" in invoke("jobs", "--tag=a=1", "--tag=a=2").stderr


def test_an_axis_that_is_not_there() -> None:
    done = invoke("run", job_file(POWERS), "-p", "bas=3")
    assert done.exit_code == 125
    assert "no axis 'bas' in its matrix; did you mean 'base'?" in done.stderr


def test_failures_are_told_once_with_the_end_of_stderr() -> None:
    """ibmq-provider#390, submitit PR#1715: poor failure messages."""
    done = invoke("run", job_file(SOME_FAIL))
    assert done.exit_code == 1
    assert [row[3] for row in rows(done.stdout)[1:]] == ["DONE"] * 6 + ["ERROR"] * 6
    told = done.stderr[done.stderr.index("anyjob: error") :]
    assert told == (
        "anyjob: error: 3 jobs failed, the first (code=3 why=space index=1): exit code 3\n  no space left\n"
        "anyjob: error: 3 jobs failed, the first (code=3 why=time index=1): exit code 3\n  no time left\n"
    )


@pytest.mark.parametrize("backend", ["inline", "threads", "processes"])
def test_calls_give_what_they_return(backend: str) -> None:
    """The module of a call is found beside the job file."""
    Path("beside").mkdir()
    Path("beside/steps.py").write_text(
        "def run(a):\n    return {'a': a, 'half': a / 2} if a > 1 else None / 0\n"
    )
    text = '[python]\ncall = "steps:run"\nargs = ["{a}"]\n[matrix]\na = [3, 1]\n'
    done = anyjob("run", job_file(text, "beside/jobs.toml"), "-b", backend)
    assert done.returncode == 1
    assert rows(done.stdout.decode()) == [["a", "state", "half"], ["3", "DONE", "1.5"], ["1", "ERROR"]]
    assert "a job failed (a=1): TypeError: unsupported operand" in done.stderr.decode()


def test_results_that_are_no_tables() -> None:
    done = invoke(
        "run", job_file('[python]\ncall = "math:factorial"\nargs = ["{n}"]\n[matrix]\nn = [3, 4]\n')
    )
    assert rows(done.stdout) == [["n", "state", "result"], ["3", "DONE", "6"], ["4", "DONE", "24"]]


@pytest.mark.parametrize(
    "written", [b"", b"text", b"[1]", b"{", b'{"a": 1} more', b"{}" + b" " * MOST_OUTPUT]
)
def test_output_that_is_no_json_object_is_no_row(written: bytes) -> None:
    assert parse_json_object(written) is None


def test_output_that_would_move_the_cursor_is_written_out() -> None:
    text = """[command]\nargv = ["printf", '{{"text": "a\\\\u001b[2J\\\\nb"}}']\n[matrix]\nn = [1]\n"""
    done = invoke("run", job_file(text))
    assert rows(done.stdout)[1] == ["1", "DONE", "a\\x1b[2J\\nb"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[command]\nargv = [\n", "jobs.toml:3:1: not valid TOML (line 3, column 1)"),
        ("[command]\nargv = ['echo']\n[matrix]\na = []\n", "jobs.toml:4: matrix.a: the axis is empty"),
        ("[command]\nargv = ['echo']\n[matrix]\n", "matrix: is empty"),
        ("[command]\nargv = ['{a}']\n[parameters]\na = '{b}'\nb = '{a}'\n", "made of itself"),
        ("[job]\ntype = 'acme.none'\n", "no job type is called 'acme.none'"),
        ("[python]\ncall = 'a:b'\nkwargs = 3\n", "jobs.toml: Expected `object`, got `int` - at `$.kwargs`"),
        ("backend = 'nowhere'\n[command]\nargv = ['echo']\n", "no backend is called 'nowhere'"),
    ],
)
def test_files_that_cannot_be_used(text: str, said: str) -> None:
    done = invoke("run", job_file(text))
    assert done.exit_code == 125
    assert done.stdout == ""
    assert said in done.stderr


class Counting(ThreadsBackend):
    """Counts the requests to cancel, and lets the test know where it is."""

    cancelled: list[int] = []
    launched = threading.Event()
    asked = threading.Event()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Any]]:
        yield from super().launch(orders)
        self.launched.set()

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        answers = super().terminate(tickets)
        self.cancelled.append(len(tickets))
        self.asked.set()
        return answers


def interrupt_once(index: int) -> None:
    """The first job presses Ctrl-C once all are submitted; those that run wait until that was heard."""
    if index == 0:
        Counting.launched.wait(60)
        os.kill(os.getpid(), signal.SIGINT)
    Counting.asked.wait(60)


def test_ctrl_c_cancels_what_has_not_ended_in_bulk() -> None:
    """submitit#1766, Parsl#2232: mass cancel timed out; it is one bulk call."""
    registry = Registry()
    registry.register_backend("counting", Counting)
    set_default_session(Session(Config.from_dict({}), registry))
    text = f"""
[python]
call = "{__name__}:interrupt_once"
args = ["{{index}}"]
[matrix]
index = {{ range = [0, 300] }}
"""
    done = invoke("run", job_file(text), "-b", "counting")
    assert done.exit_code == 130
    assert Counting.cancelled[0] == 300
    states = [row[1] for row in rows(done.stdout)[1:]]
    running = ThreadsBackend.from_options("t", {}).slots
    assert states.count("CANCELLED") >= 300 - running
    assert set(states) <= {"CANCELLED", "DONE"}


def test_ctrl_c_leaves_a_table_of_what_there_was() -> None:
    text = """
backend = "processes"
[command]
argv = ["sh", "-c", "test {a} = 1 || exec sleep 60"]
[matrix]
a = [1, 2, 3, 4, 5, 6]
"""
    with start("run", job_file(text)) as process:
        assert process.stderr is not None
        while b"DONE" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [row[1] for row in rows(out.decode())[1:]] == ["DONE", *["CANCELLED"] * 5]


class Single(BaseBackend):
    """A plain backend: one piece of work at a time, and jobs of its own making."""

    def run(self, spec: Any) -> TaskJob:
        job: TaskJob = ThreadsBackend.from_options("t", {}).run(spec)
        return job


def test_a_plain_backend_runs_the_jobs_one_by_one() -> None:
    registry = Registry()
    registry.register_backend("single", Single)
    set_default_session(Session(Config.from_dict({}), registry))
    done = invoke("run", job_file(POWERS), "-b", "single")
    assert [row[1:3] for row in rows(done.stdout)[1:]] == [["DONE", "4"], ["DONE", "100"]]
    done = invoke("run", job_file(POWERS), "-b", "single", "--cpus", "4")
    assert done.exit_code == 125
    assert "backend single takes no 'cpus'" in done.stderr

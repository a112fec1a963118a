"""What a job is, in a line: in the ledger, in ``anyjob jobs``, in the repr of a handle."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cli_program import anyjob, invoke, on_terminal
from support.waiting import wait_until

from anyjob import Call, Command, Session, Spec, TaskJob, get_backend, wait
from anyjob.cli.jobs import queueing
from anyjob.ledger.rows import Summary
from anyjob.specs import kind_of
from anyjob.taskjob import WORK_SHOWN
from anyjob.text.brief import LONGEST, brief, in_a_line
from anyjob.text.printable import printable, shortened

LONG = 60  # seconds: only ever waited for where something is broken


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    y: Any


class Costly:
    """Its repr must not be asked for."""

    def __repr__(self) -> str:
        raise AssertionError("asked for")


class Array:
    shape = (300, 4)


def fit(x: Any, rate: float = 0.1) -> Any:
    return x


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (True, "True"),
        (None, "None"),
        ("a b", "'a b'"),
        ([1] * 100, "[1, 1, 1, 1, 1, …]"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{'a': {'b': {'c': {…}}}}"),
        (b"x" * 10**6, "b'" + "x" * 60 + "'…"),
        (Path("/a"), "'/a'"),
        (datetime.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
        (Colour.RED, "Colour.RED"),
        (Point(1, Costly()), "Point(x=1, y=<Costly>)"),
        (Costly(), "<Costly>"),
        (Array(), "<Array 300x4>"),
        (fit, "fit"),
        (Costly, "Costly"),
    ],
)
def test_values_in_a_few_words(value: Any, text: str) -> None:
    assert brief(value) == text


@given(st.recursive(st.text() | st.binary() | st.integers() | st.floats(), lambda each: st.lists(each)))
def test_few_words_are_few(value: Any) -> None:
    assert len(brief(value)) < 20_000


@given(st.text(), st.integers(1, 50))
def test_printable_text_stays_on_its_line(text: str, longest: int) -> None:
    shown = shortened(printable(text), longest)
    assert shown.isprintable()
    assert len(shown) <= longest
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (Command(["python3", "train.py", "--name", "a b"]), "python3 train.py --name 'a b'"),
        (Command(["echo", "a\x1b[2J\nb"]), "echo 'a\\x1b[2J\\nb'"),
        (Call(fit, (1,), {"rate": 0.5}), "fit(1, rate=0.5)"),
        (Call("math:sqrt", (2,)), "math:sqrt(2)"),
    ],
)
def test_work_in_a_line(spec: Spec, text: str) -> None:
    assert in_a_line(get_backend("inline").services.job_type(kind_of(spec)).describe, spec) == text


def test_values_of_variables_are_no_part_of_it() -> None:
    job_type = get_backend("inline").services.job_type("command")
    assert "hidden" not in in_a_line(job_type.describe, Command(["env"], env={"TOKEN": "hidden"}))


class Notebook(Spec, frozen=True, tag="acme.notebook"):
    path: str
    kernel: str = "python3"
    cells: list[int] = []


class NotebookJob(TaskJob):
    spec_type = Notebook


class Broken(NotebookJob):
    @classmethod
    def describe(cls, spec: Any) -> str:
        raise ValueError("no words")


def test_a_kind_of_its_own_shows_the_fields_that_were_given() -> None:
    spec = Notebook("a.ipynb", cells=[1, 2])
    assert in_a_line(NotebookJob.describe, spec) == "path='a.ipynb', cells=[1, 2]"
    assert in_a_line(Broken.describe, spec) == ""


def test_what_is_long_is_cut(local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        job = session.get_backend("local").run(Command(["true", *["x" * 50] * 100]))
        shown = repr(job)
        assert shown.startswith(f"<CommandJob('{job.job_id()}', ")
        assert len(shown) < 100 + WORK_SHOWN
        assert session.ledger.summaries([job.job_id()])[job.job_id()].work.endswith("…")
        assert len(session.ledger.summaries([job.job_id()])[job.job_id()].work) == LONGEST


def test_a_handle_found_again_says_what_it_is_without_importing_it(
    local_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(state=local_cli) as session:
        (tmp_path / "hidden_away.py").write_text("def work(x):\n    return x\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        from hidden_away import work  # type: ignore[import-not-found]

        job = session.get_backend("local").run(Call(work, (7,)), name="seven")
        wait([job], LONG)
    monkeypatch.delitem(sys.modules, "hidden_away")
    with Session(state=local_cli) as session:
        assert "name='seven', DONE, work(7)) on local>" in repr(session.get_job(job.job_id()))
        assert "hidden_away" not in sys.modules
        session.prune(0)
        assert session.ledger.summaries([job.job_id()]) == {}


def test_jobs_in_a_process_say_what_they_are() -> None:
    job = get_backend("threads").run(Call(fit, ([0] * 50,)))
    wait([job], LONG)
    assert "fit([0, 0, 0, 0, 0, …])) on threads>" in repr(job)


SWEEP = """
name = "fit"
[command]
argv = ["echo", "{rate}", "{seed}"]
[matrix]
seed = [1, 2]
rate = [0.5]
"""


def test_the_parameters_of_a_sweep_are_listed_and_kept_by_reruns(local_cli: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(SWEEP)
    assert invoke("run", "sweep.toml").exit_code == 0
    table = [line.split(maxsplit=6) for line in invoke("jobs", "--name", "fit").stdout.splitlines()]
    assert table[0] == ["id", "name", "backend", "state", "reason", "age", "took  work"]
    assert [row[-1] for row in table[1:]] == [f"seed={n} rate=0.5: echo 0.5 {n}" for n in (1, 2)]
    assert invoke("rerun", "--name", "fit", "--state", "done", "--yes").exit_code == 0
    assert invoke("wait", "--name", "fit").exit_code == 0
    found = json.loads(invoke("jobs", "--name", "fit", "--json").stdout)
    assert [job["parameters"] for job in found] == [{"seed": n, "rate": 0.5} for n in (1, 2)]
    assert [job["work"] for job in found] == ["echo 0.5 1", "echo 0.5 2"]
    shown = [line.split() for line in invoke("show", found[1]["job_id"]).stdout.splitlines()]
    assert ["parameters", "seed=2", "rate=0.5"] in shown


def test_columns_are_chosen(local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        wait([session.get_backend("local").run(Command(["false"]), name="chosen", tags={"a": "1"})], LONG)
    done = invoke("jobs", "--name", "chosen", "--columns", "state,tags", "--columns", "message")
    assert [line.split(maxsplit=2) for line in done.stdout.splitlines()] == [
        ["state", "tags", "message"],
        ["ERROR", "a=1", "exit code 1"],
    ]
    done = invoke("jobs", "--columns", "state,nmae")
    assert done.exit_code == 125
    assert "--columns: 'nmae' is none: did you mean 'name'? There are id, job-id, name, work," in done.stderr


def test_on_a_terminal_each_job_is_one_line(local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        jobs = session.get_backend("local").run_many([Command(["echo", "x" * 300])] * 3, name="long")
        wait(jobs, LONG)
    shown = on_terminal("jobs", "--name", "long", NO_COLOR="1")
    lines = [line for line in shown.splitlines() if "DONE" in line]
    assert len(lines) == 3
    assert all(line.rstrip().endswith("x…") and len(line) <= 80 for line in lines)
    assert "reason" not in shown  # it would be empty


def test_a_narrow_terminal_has_a_paragraph_for_each_job(local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        jobs = session.get_backend("local").run_many([Command(["echo", "x" * 100])] * 2, name="narrow")
        wait(jobs, LONG)
    shown = on_terminal("jobs", "--name", "narrow", NO_COLOR="1", COLUMNS="40")
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in shown.splitlines()]
    ids = [line.split()[1] for line in lines if line.startswith("id ")]
    assert ids == [job.job_id()[:7] for job in jobs]
    assert [line.split()[1] for line in lines if line.startswith("state ")] == ["DONE", "DONE"]
    assert all(len(line) <= 40 for line in lines)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("ascii", rb"h\xf6he"), ("latin-1", b"h\xf6he"), ("utf-8", b"h\xc3\xb6he")],
)
def test_letters_that_the_locale_lacks_do_not_end_a_listing(
    encoding: str, name: bytes, local_cli: Path
) -> None:
    with Session(state=local_cli) as session:
        wait([session.get_backend("local").run(Command(["true", "é…"]), name="höhe")], LONG)
    done = anyjob("jobs", env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert name in done.stdout


def test_an_older_ledger_lists_its_jobs(local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        job = session.get_backend("local").run(Command(["true"]), name="older")
        wait([job], LONG)
        session.ledger.file.write(lambda db: db.execute("DELETE FROM summaries"))
        assert session.ledger.summaries([job.job_id()]).get(job.job_id(), Summary()) == Summary()
    assert "older" in invoke("jobs", "--name", "older").stdout
    with Session(state=local_cli) as session:
        assert repr(session.get_job(job.job_id())).endswith("name='older', DONE) on local>")


# --- waiting where there is no terminal -------------------------------------------------------------


def test_a_pipe_is_told_once_why_nothing_runs(
    local_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(queueing, "PATIENCE", 0.01)
    monkeypatch.setattr(queueing, "print_message", said.append)
    go = tmp_path / "go"
    with Session(state=local_cli) as session:
        backend = session.get_backend("local", slots=1)
        holder = backend.run(Command(["sh", "-c", f"until test -e {go}; do sleep 0.05; done"]))
        wait_until(holder.running)
        waiting = [backend.run(Command(["true"])) for _ in range(2)]
        with queueing.explained_wait(waiting):
            wait_until(lambda: said)
        with queueing.explained_wait([holder, *waiting]):
            go.touch()
            wait(waiting, LONG)
    assert said == [
        f"none of 2 jobs runs yet; the first, job {waiting[0].job_id()[:8]}: QUEUED on local, position 1, "
        "waits for a slot: 1 running on 1 slot"
    ]


def test_nothing_is_said_where_something_runs(local_cli: Path) -> None:
    done = anyjob("run", "-b", "local", "--", "sleep", "0.1")
    assert (done.returncode, done.stderr) == (0, b"")

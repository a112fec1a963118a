"""Job files of several steps: what is handed over, in which order, and what is run again."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.cli_program import invoke

import anyjob as library
from anyjob import JobStatus
from anyjob.errors import JobFileError
from anyjob.jobfile.pipeline import load

pytestmark = pytest.mark.usefixtures("local_cli")

PIPELINE = """
name = "study"

[[job]]
name = "p-report"
needs = ["p-fit"]
command = { argv = ["sh", "-c", "cat fit-1 fit-2; echo >> reports"] }

[[job]]
name = "p-fetch"
command = { argv = ["sh", "-c", "test -e source && cp source data && echo >> fetches"] }

[[job]]
name = "p-fit"
needs = ["p-fetch"]
command = { argv = ["sh", "-c", "cat data > fit-{seed}"] }
matrix = { seed = [1, 2] }

[[job]]
name = "p-alarm"
needs_failure = ["p-fetch"]
command = { argv = ["sh", "-c", "echo no source > alarm"] }
resources = { tags = { study = "p" } }
"""

LAST_STEP = """
[[job]]
name = "t-report"
needs = ["t-fit"]
command = { argv = ["true"] }
"""


def written(text: str) -> str:
    path = Path("pipeline.toml")
    path.write_text(text)
    return str(path)


def test_steps_start_after_those_that_they_need_and_what_is_done_is_not_run_again() -> None:
    path = written(PIPELINE)
    done = invoke("run", path)
    assert done.exit_code == 1, done.stderr
    states = {job.metadata()["name"]: job.outcome(60) for job in library.jobs() if job.metadata()["name"]}
    found = {name: (one.status.name, one.reason) for name, one in states.items() if name.startswith("p-")}
    assert found == {
        "p-fetch": ("ERROR", "exit-code"),
        "p-fit": ("ERROR", "dependency"),
        "p-report": ("ERROR", "dependency"),
        "p-alarm": ("DONE", None),
    }
    assert Path("alarm").exists()
    assert "what it needs did not come about" in done.stderr
    Path("source").write_text("1\n")
    done = invoke("run", path)
    assert done.exit_code == 0, "that there is no cause for alarm is no failure"
    assert "study: 5 new jobs of 5, in 4 steps" in done.stderr
    assert [line.split() for line in done.stdout.splitlines()][-1][0] == "p-report"
    assert ["p-alarm", "SKIPPED"] in [line.split() for line in done.stdout.splitlines()]
    done = invoke("run", path, "--detach")
    assert len(done.stdout.split()) == 5
    assert "study: 0 new jobs of 5" in done.stderr, "what is done is not run again"


def test_a_pipeline_of_which_all_succeeds(tmp_path: Path) -> None:
    Path("source").write_text("1\n")
    text = PIPELINE.partition('[[job]]\nname = "p-alarm"')[0].replace("p-", "q-")
    path = written(text)
    done = invoke("run", path)
    assert done.exit_code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["step", "seed", "state"]
    assert [line[0] for line in lines[1:]] == ["q-fetch", "q-fit", "q-fit", "q-report"]
    done = invoke("run", path)
    assert "study: 0 new jobs of 4, in 3 steps" in done.stderr
    assert Path("reports").read_text() == "\n", "what is done is not run again"
    written(text.replace("cp source data", "cat source > data"))
    done = invoke("run", path)
    assert "study: 4 new jobs of 4, in 3 steps" in done.stderr, "what needs what is run anew is, too"
    assert {job.status() for job in library.jobs(name="q-report")} == {JobStatus.DONE}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'needs = ["p-fit"]',
            'needs = ["p-fti"]',
            "job[0].needs: no step is called 'p-fti'; did you mean",
        ),
        (
            'needs = ["p-fit"]',
            'needs = ["p-fit"]\nneeds_failure = ["p-fit"]',
            "job[0].needs_failure: 'p-fit' is in needs too, so that the step could never start",
        ),
        ('needs = ["p-fetch"]', 'needs = ["p-report"]', "no step of these could ever start: p-"),
        ('name = "p-fetch"', 'name = "p-fit"', "two steps are called 'p-fit'"),
        ('name = "p-fetch"\n', "", "job[1].name: each step has a name"),
        ('needs = ["p-fit"]', 'needs = "p-fit"', "job[0].needs: expected a list of names of steps"),
        ('needs = ["p-fit"]', 'need = ["p-fit"]', "did you mean 'needs'?"),
        ("[1, 2]", "1", "job[2].matrix.seed: "),
        ('name = "study"', 'nmae = "study"', "did you mean 'name'?"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(old: str, new: str, message: str) -> None:
    assert PIPELINE.count(old) == 1
    path = written(PIPELINE.replace(old, new))
    with pytest.raises(JobFileError) as caught:
        load(path)
    assert message in str(caught.value)
    assert re.match(rf"{re.escape(os.path.abspath(path))}:[0-9]+: ", str(caught.value))


def test_of_several_steps_the_line_of_the_wrong_one_is_told() -> None:
    in_a_table = '[[job]]\nname = "p-last"\ncommand = { argv = ["x"] }\n[job.resources]\ncpu = 1\n'
    for text, line in (
        (PIPELINE.replace('needs = ["p-fit"]', 'needs = ["p-fti"]'), 'needs = ["p-fti"]'),
        (PIPELINE.replace('needs = ["p-fetch"]', "needs = 3"), "needs = 3"),
        (PIPELINE.replace("matrix = { seed", "matrix = { s-d"), "matrix = { s-d = [1, 2] }"),
        (PIPELINE + in_a_table, "cpu = 1"),
    ):
        path = written(text)
        with pytest.raises(JobFileError) as caught:
            load(path)
        told = f"{os.path.abspath(path)}:{text.splitlines().index(line) + 1}: "
        assert str(caught.value).startswith(told)


def test_what_is_handed_over_together_is_found_together_by_the_name_of_the_file() -> None:
    path = written('name = "together"\n[[job]]\nname = "t-fit"\ncommand = { argv = ["true"] }\n' + LAST_STEP)
    plan = invoke("run", path, "--dry-run", "--after", "gate")
    assert [line.split()[3] for line in plan.stdout.splitlines()[1:3]] == ["gate", "t-fit"]
    assert invoke("run", path).exit_code == 0
    assert re.findall(r"t-\w+", invoke("graph", "together").stdout) == ["t-fit", "t-report"]
    listed = invoke("jobs", "--tag", "pipeline=together", "--columns", "name").stdout.split()
    assert sorted(listed) == ["name", "t-fit", "t-report"]
    for backend in ("local", "threads"):
        assert library.run(len, "abc", backend=backend, after="together").result(timeout=60) == 3


def test_a_plan_says_of_what_end_a_step_waits() -> None:
    steps = [("one", ""), ("after", 'needs = ["one"]'), ("any", 'needs_end = ["one"]')]
    steps.append(("mend", 'needs_failure = ["one", "after"]'))
    step = '[[job]]\nname = "{}"\n{}\ncommand = {{ argv = ["true"] }}\n'
    plan = invoke("run", written("".join(step.format(*each) for each in steps)), "--dry-run").stdout
    for name, needs in {"after": "one", "any": "the end of one", "mend": "a failure of one, after"}.items():
        assert re.search(rf"^{name} .*  {needs}  ", plan, re.MULTILINE), plan


def test_steps_need_a_backend_that_keeps_the_order() -> None:
    done = invoke("run", written(PIPELINE), "-b", "threads")
    assert done.exit_code == 125
    assert "cannot run jobs that outlive this process: choose another one" in done.stderr, (
        "nobody gave --detach"
    )
    assert invoke("run", written(PIPELINE), "-p", "seed=1").exit_code != 0

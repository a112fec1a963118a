"""Job files whose jobs fail: the others go on, or are cancelled. And what a file would run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import invoke

import anyjob as library
from anyjob.errors import JobFileError
from anyjob.jobfile import pipeline, reader

pytestmark = pytest.mark.usefixtures("local_cli")

SWEEP = """
name = "sweep"
fail_fast = true
[command]
argv = ["sh", "-c", "[ {x} = 2 ] && exit 3; [ {x} = 1 ] || sleep 60"]
[matrix]
x = [1, 2, 3]
"""
STEPS = """
name = "study"

[[job]]
name = "fit"
command = { argv = ["sh", "-c", "exit 3"] }

[[job]]
name = "other"
command = { argv = ["sleep", "60"] }

[[job]]
name = "tidy"
needs_end = ["fit", "other"]
command = { argv = ["echo", "tidied"] }
"""


def written(text: str) -> str:
    path = Path("file.toml")
    path.write_text(text)
    return str(path)


@pytest.fixture
def new() -> Callable[[], list[Any]]:
    """Returns the jobs that the test has made."""
    before = set(library.jobs())
    return lambda: [job for job in library.jobs() if job not in before]


def test_the_others_are_cancelled_when_one_has_failed(new: Any) -> None:
    done = invoke("run", written(SWEEP))
    assert done.exit_code == 1, done.stderr
    assert "has failed: the other" in done.stderr
    found = [job.status().name for job in new()]
    assert "ERROR" in found
    assert "CANCELLED" in found


def test_of_steps_those_go_on_that_start_after_any_end(new: Any) -> None:
    done = invoke("run", "--fail-fast", written(STEPS))
    assert done.exit_code == 1, done.stderr
    states = {str(job.spec().argv[-1]): job.status().name for job in new()}
    assert states == {"exit 3": "ERROR", "60": "CANCELLED", "tidied": "DONE"}


def test_the_command_line_goes_before_the_file(new: Any) -> None:
    done = invoke("run", "--keep-going", written(SWEEP.replace("sleep 60", "echo")))
    assert done.exit_code == 1, done.stderr
    assert sorted(job.status().name for job in new()) == ["DONE", "DONE", "ERROR"]


def test_a_dry_run_prints_the_plan_and_hands_nothing_over(new: Any) -> None:
    done = invoke("run", "--dry-run", written(STEPS))
    assert done.exit_code == 0, done.stderr
    assert "the end of fit, other" in done.stdout
    assert "echo tidied" in done.stdout
    assert "study: 3 jobs; nothing was handed over" in done.stderr
    told = json.loads(invoke("run", "--dry-run", "--json", written(SWEEP)).stdout)
    assert [job["parameters"] for job in told["steps"][0]["jobs"]] == [{"x": 1}, {"x": 2}, {"x": 3}]
    assert new() == []


def test_what_makes_no_sense_is_told() -> None:
    assert "is seen to by who waits" in invoke("run", "--fail-fast", "--detach", written(SWEEP)).stderr
    assert "--dry-run can be given with a job file only" in invoke("run", "--dry-run", "--", "true").stderr
    with pytest.raises(JobFileError, match="fail_fast: expected true or false"):
        reader.load(written(SWEEP.replace("= true", "= 1")))
    with pytest.raises(JobFileError, match="is said of all steps"):
        pipeline.load(written(STEPS.replace('name = "fit"', 'name = "fit"\nfail_fast = true')))

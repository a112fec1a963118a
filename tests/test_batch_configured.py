"""The type ``batch``: a dialect by configuration, and what is refused of one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from anyjob import ConfigError, JobStatus, Resources
from anyjob.builtin.batch import BatchTypeJobOptions, ConfiguredBackend, ConfiguredDialect
from anyjob.sdk import Submission

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "batch-schedulers.md"
NAME = "fit.anyjob-0123456789abcdef0123"
LEAST: dict[str, Any] = {
    "submit": ["kput", "--called", "{name}"],
    "id": r"^planted as (k\d+)$",
    "listing": ["kls"],
    "row": r"^(?P<job>k\d+) (?P<state>\w+) (?P<name>\S+)$",
    "states": {"growing": "RUNNING"},
    "cancel": ["kcut", "{ids}"],
    "job_variable": "KELP",
}


def configured(backend: str) -> ConfiguredDialect:
    """Return the dialect of a configuration that the page shows."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    said = next(tomllib.loads(block)["backends"] for block in blocks if f"[backends.{backend}]" in block)[
        backend
    ]
    dialect = ConfiguredBackend.from_options(
        backend, {key: value for key, value in said.items() if key != "type"}
    ).words
    assert isinstance(dialect, ConfiguredDialect)
    return dialect


def submitted(
    dialect: ConfiguredDialect,
    tasks: int | None = None,
    extra: Any = (),
    throttle: int | None = None,
    **resources: Any,
) -> list[str]:
    script = Path("/spool/script")
    options = BatchTypeJobOptions(extra=extra, throttle=throttle)
    what = Submission(NAME, tasks, Resources(**resources), options, script)
    return dialect.submit(what)


def least(**changes: Any) -> ConfiguredBackend:
    return ConfiguredBackend.from_options("kelp", {**LEAST, **changes})


def test_the_least_is_enough() -> None:
    dialect = least().words
    assert isinstance(dialect, ConfiguredDialect)
    assert submitted(dialect, walltime=60.0) == ["kput", "--called", NAME]
    assert (dialect.submitted("Hello\nplanted as k7\n"), dialect.submitted("no")) == ("k7", None)
    growing, strange = dialect.listed(f"k7 growing {NAME}\nk8 humming {NAME}\n")
    assert (growing.job, growing.status, growing.name) == ("k7", JobStatus.RUNNING, NAME)
    assert (strange.status, strange.message) == (
        JobStatus.QUEUED,
        "its state is 'humming', which `states` does not have",
    )
    assert dialect.cancel([dialect.id_of("k7"), dialect.id_of("k8")]) == ["kcut", "k7", "k8"]
    assert dialect.array_limit is None
    assert dialect.history(["k7"], "me", 0.0) is None


@pytest.mark.parametrize("resources", [{"cpus": 2}, {"memory": 2**30}, {"gpus": 1}, {"nodes": 2}])
def test_what_no_flag_is_there_for_is_refused(resources: dict[str, Any]) -> None:
    dialect = least().words
    assert isinstance(dialect, ConfiguredDialect)
    with pytest.raises(ValueError, match=r"says no arguments for it \(flags"):
        submitted(dialect, **resources)


def test_a_script_that_is_a_file_comes_last() -> None:
    dialect = configured("oar")
    command = submitted(dialect, walltime=90.0, cpus=4, extra=("-q", "best"))
    assert command[-4:] == ["/nodes=1/core=4,walltime=0:01:30", "-q", "best", "/spool/script"]
    assert dialect.script_file


def test_tasks_of_an_array() -> None:
    dialect = configured("lsf")
    assert f"{NAME}[1-7]" in submitted(dialect, 7)
    assert NAME in submitted(dialect)
    assert f"{NAME}[1-7]%2" in submitted(dialect, 7, throttle=2)
    assert (dialect.throttles, least().words.throttles) == (True, False)
    assert (dialect.id_of("5", 3), dialect.id_of("5", 3, 6)) == ("5[3]", "5[3-6]")
    assert (dialect.split_id("5[3]"), dialect.split_id("5")) == (("5", 3), ("5", None))
    one, ended = dialect.listed(f"5|3|RUN|-|{NAME}[3]\n6|0|EXIT|137|{NAME}\n")
    assert (one.tasks, one.name, one.status) == ((range(3, 4),), NAME, JobStatus.RUNNING)
    assert (ended.tasks, ended.exit_code, ended.reason) == (None, 137, "exit-code")


def test_a_job_that_is_to_go_on_at_its_walltime_has_a_minute_more() -> None:
    walltime = ["-t", "{seconds}"]
    backend = least(requeue=[99], flags={"walltime": walltime, "restartable": ["-y"]})
    assert isinstance(backend.words, ConfiguredDialect)
    assert (backend.requeues, least().requeues, backend.words.requeue) == (True, False, (99,))
    command = submitted(backend.words, walltime=90.0, on_walltime="requeue")
    assert command[-3:] == ["-y", "-t", "150"]


def test_tasks_are_named_one_by_one_where_there_is_no_range() -> None:
    flags = {"array": ["--parts", "{tasks}"]}
    dialect = least(task_variable="KELP_PART", task_id="{job}/{task}", flags=flags).words
    assert dialect.cancel([dialect.id_of("k7", 2, 4), "k8"]) == ["kcut", "k7/2", "k7/3", "k7/4", "k8"]


def test_rows_of_several_lines_are_read() -> None:
    text = f"Job_Id: 4\n    name = {NAME}\n    state = Running\nJob_Id: 5\n    name = x\n    state = Error\n"
    running, failed = configured("oar").listed(text)
    assert (running.job, running.name, running.status) == ("4", NAME, JobStatus.RUNNING)
    assert (failed.job, failed.status, failed.reason) == ("5", JobStatus.ERROR, "exit-code")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"submit": ["kput", "{title}"]}, r"submit: there is no \{title\}; there are \{name\}, \{script\}"),
        ({"submit": []}, "submit: it names no program"),
        ({"cancel": ["kcut"]}, "in whose place the ids of the jobs are put"),
        ({"id": "planted as"}, r"id: 'planted as' has no group"),
        ({"id": "("}, r"id: '\(' is no regular expression"),
        ({"row": "(?P<job>.*)"}, r"has no group \(\?P<state>"),
        ({"states": {"growing": "GROWING"}}, "'growing' is 'GROWING', which is none of QUEUED"),
        ({"flags": {"cores": ["-c"]}}, "flags: there is no 'cores'; there are cpus"),
        ({"task_variable": "KELP_PART"}, "`task_variable` and `flags.array`: one of them is missing"),
        ({"history": ["kpast"]}, "`history` and `record`: one of them is missing"),
        ({"requeue": ["requeue"]}, "requeue: it is an exit code and"),
        ({"listing": None}, "listing"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        least(**changes)


def test_what_is_missing_is_named() -> None:
    for name in LEAST:
        with pytest.raises(ConfigError, match=name):
            ConfiguredBackend.from_options("kelp", {key: LEAST[key] for key in LEAST if key != name})

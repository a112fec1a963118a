"""The type ``batch``: a dialect by configuration, and what is refused of one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from anyjob import ConfigError, JobStatus, Resources
from anyjob.builtin.configured_batch.backend import ConfiguredBackend
from anyjob.builtin.configured_batch.dialect import ConfiguredDialect
from anyjob.builtin.configured_batch.options import BatchTypeJobOptions
from anyjob.sdk import Submission

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "batch-schedulers.md"
RECORDED = Path(__file__).resolve().parent / "recorded"
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
    assert submitted(dialect, walltime=90.0, cpus=4, extra=("-q", "best"))[-3:] == [
        "-q",
        "best",
        "/spool/script",
    ]
    assert dialect.script_file


def test_a_script_that_a_shell_reads_is_quoted() -> None:
    what = Submission(NAME, None, Resources(), BatchTypeJobOptions(), Path("/my spool's/script"))
    assert configured("oar").submit(what)[-1] == "'/my spool'\"'\"'s/script'"


@pytest.mark.parametrize(
    ("resources", "argument"),
    [
        ({}, "/nodes=1/core=1"),
        ({"cpus": 4}, "/nodes=1/core=4"),
        ({"walltime": 90.0}, "/nodes=1/core=1,walltime=0:01:30"),
        ({"nodes": 2, "cpus": 4, "walltime": 7200.0}, "/nodes=2/core=4,walltime=2:00:00"),
    ],
)
def test_what_is_asked_for_makes_one_argument(resources: dict[str, Any], argument: str) -> None:
    command = submitted(configured("oar"), **resources)
    assert command[command.index("-l") + 1] == argument
    assert command.count("-l") == 1


def test_what_submit_has_no_place_for_is_refused() -> None:
    with pytest.raises(ValueError, match="memory: the configuration says no arguments for it"):
        submitted(configured("oar"), memory=2**30)


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


def test_tasks_with_ids_of_their_own() -> None:
    dialect = configured("oar")
    text = "[ADMISSION RULE] …\nOAR_JOB_ID=6\nOAR_JOB_ID=7\nOAR_ARRAY_ID=6\n"
    assert dialect.submitted(text) == ["6", "7"]
    assert (dialect.submitted("OAR_JOB_ID=6\n"), dialect.submitted("OAR_JOB_ID=-5\n")) == ("6", None)
    assert (dialect.id_of("7", 2), dialect.split_id("7")) == ("7", ("7", None))
    assert dialect.cancel(["6", "7"]) == ["oardel", "6", "7"]
    assert dialect.history(["6", "7"], "me", 0.0) == ["oarstat", "-f", "--sql", "job_id IN (6,7)"]


def test_what_oar_lists_is_read() -> None:
    rows = list(configured("oar").listed((RECORDED / "oarstat.txt").read_text(encoding="utf-8")))
    assert [(row.job, row.name, row.number, row.status.name) for row in rows] == [
        ("10", "arr", 1, "RUNNING"),
        ("16", "held", 0, "QUEUED"),
        ("18", "noprog", 0, "QUEUED"),
    ]


def test_how_jobs_of_oar_ended_is_read() -> None:
    rows = configured("oar").recorded((RECORDED / "oarstat_ended.txt").read_text(encoding="utf-8"))
    found = {row.name: (row.status.name, row.reason, row.exit_code, row.signal) for row in rows}
    assert found == {
        "arr": ("ERROR", "exit-code", 2, None),
        "a.anyjob-1": ("ERROR", "exit-code", 5, None),
        "sig9": ("ERROR", "signal", None, 9),
        "exit143": ("ERROR", "exit-code", 143, None),
        "wall": ("ERROR", "walltime", None, None),
        "del": ("CANCELLED", None, None, None),
        "held": ("CANCELLED", None, None, None),
        "nodir": ("ERROR", "node-failure", None, None),
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"submit": ["kput", "{title}"]},
            r"submit: there is no \{title\}; there are .*\{name\}, .*\{script\}",
        ),
        (
            {"submit": ["kput", "{walltime}"]},
            r'\{walltime\} stands for has to be a text: flags.walltime = "…"',
        ),
        ({"flags": {"walltime": ",{hms}"}}, r"walltime is a text, and `submit` has no \{walltime\}"),
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
        ({"listing": [""]}, "listing: it names no program"),
        ({"states": {"dead": "ERROR:boom"}}, r"'ERROR:boom': what has a reason is one of ERROR:exit-code, "),
        ({"states": {"over": "DONE:exit-code"}}, "'DONE:exit-code': what has a reason is one of ERROR:"),
        ({"job_variable": ""}, "job_variable: '' is no name of a variable"),
        ({"job_variable": "$KELP"}, r"job_variable: '\$KELP' is no name of a variable"),
        ({"foreign": ["KELP *"]}, r"foreign: 'KELP \*' is no name of variables"),
        ({"end_signals": ["SIGUSR2"]}, "end_signals: 'SIGUSR2' is no signal; did you mean 'USR2'?"),
        ({"ignored_signals": ["usr9"]}, "ignored_signals: 'usr9' is no signal; did you mean 'USR"),
        ({"reserved_exit_codes": [1000]}, r"reserved_exit_codes\[0\]: expected integer <= 255"),
        ({"first_task": -1}, "first_task: expected integer >= 0"),
        ({"array_limit": 0}, "array_limit: expected integer >= 1"),
        ({"task_id": "{job}"}, r"task_id: it has no \{task\}, so that all tasks would have one id"),
        ({"task_range": "{job}.{first}"}, r"task_range: it has no \{last\}"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        least(**changes)


def test_what_is_missing_is_named() -> None:
    for name in LEAST:
        with pytest.raises(ConfigError, match=name):
            ConfiguredBackend.from_options("kelp", {key: LEAST[key] for key in LEAST if key != name})

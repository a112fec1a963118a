"""The words of Flux, as 0.88 has written them (`recorded`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from anyjob_flux.backend import FluxBackend, FluxJobOptions
from anyjob_flux.dialect import Flux

from anyjob import ConfigError, JobStatus, Resources
from anyjob.sdk import Row, Submission

DIALECT = Flux()
JOBS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("recorded").joinpath("jobs.json").read_text()
)
CANCELLED, DONE, ERROR = JobStatus.CANCELLED, JobStatus.DONE, JobStatus.ERROR


def row(name: str) -> Row:
    (found,) = DIALECT.listed(json.dumps(JOBS[name]))  # one that is asked for alone is printed bare
    return found


def submission(
    tasks: int | None = None,
    options: dict[str, Any] | None = None,
    script: str = "/s/script",
    **resources: Any,
) -> list[str]:
    what = Submission(
        "n.anyjob-1",
        tasks,
        Resources(**resources),
        FluxJobOptions(**(options or {})),
        Path(script),
        Path("/s"),
    )
    return DIALECT.submit(what)


def test_what_is_asked_for_is_said_in_its_words() -> None:
    head, tail = ["flux", "submit"], ["/bin/bash", "/s/script"]
    plain = ["--input=/dev/null", "--cwd=/"]
    assert submission() == [*head, "--job-name=n.anyjob-1", *plain, "--ntasks=1", "--cores-per-task=1", *tail]
    said = submission(3, {"queue": "debug", "exclusive": True}, cpus=4, gpus=1, walltime=90.5)
    needs = ["--ntasks=1", "--cores-per-task=4", "--gpus-per-task=1", "--time-limit=91s", "--queue=debug"]
    array = ["--job-name={cc}.n.anyjob-1", *plain, "--cc=0-2"]
    assert said == [*head, *array, *needs, "--exclusive", *tail]


@pytest.mark.parametrize("wanted", [{"nodes": 2}, {"memory": 1}, {"script": "/s/{cc}/script"}])
def test_what_it_cannot_do_is_refused_by_name(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nodes=2|memory|braces"):
        submission(**wanted)


@pytest.mark.parametrize("extra", ["--cc=1-2", "--out=x", "-n2", "--queue=x", "--exc", "--", "true", "--c=/"])
def test_what_is_anyjobs_to_say_is_refused(extra: str) -> None:
    with pytest.raises(ConfigError):
        FluxBackend.from_options("hpc", {"extra": [extra]})


def test_ids_are_read_and_are_ascii() -> None:
    assert DIALECT.submitted("ƒ4VSkvv3\n") == "f4VSkvv3"
    assert DIALECT.submitted("f2P4LDd1\nf2PBkA2j\n") == ["f2P4LDd1", "f2PBkA2j"]
    assert DIALECT.submitted("flux-submit: ERROR: no such\n") is None
    assert DIALECT.id_of("ƒ4VSkvv3", 7) == "f4VSkvv3"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("single", (DONE, None, 0, None)),
        ("sig9", (ERROR, "signal", None, 9)),
        ("killshell", (ERROR, "signal", None, 9)),
        ("exc", (ERROR, "node-failure", None, None)),
        ("noprog", (ERROR, "node-failure", None, None)),
        ("ref_cores", (ERROR, "rejected", None, None)),
        ("dep_afterok", (ERROR, "rejected", None, None)),
        ("timelimit", (ERROR, "walltime", None, None)),
        ("timelimit_trap", (ERROR, "walltime", None, None)),
        ("cancel_running", (CANCELLED, None, None, None)),
        ("cancel_trap", (CANCELLED, None, None, None)),
        ("q27", (CANCELLED, None, None, None)),
    ],
)
def test_ends_as_they_were_recorded(name: str, expected: tuple[Any, ...]) -> None:
    found = row(name)
    assert (found.status, found.reason, found.exit_code, found.signal) == expected


def test_where_jobs_are_and_why() -> None:
    waits = row("begin")
    assert (waits.status, waits.message) == (JobStatus.QUEUED, "it waits for begin@16:25:28")
    assert row("ref_gpu").message.startswith("alloc: unsatisfiable request: need 1 slot(s) with 1 GPU(s)")
    assert row("sig9").host == "vm"


def test_a_list_is_read_and_tells_which_of_an_array_each_is() -> None:
    jobs = [{**JOBS["begin"], "name": "3.fit.anyjob-0123456789abcdef0123"}, JOBS["begin"]]
    assert [found.number for found in DIALECT.listed(json.dumps({"jobs": jobs}))] == [3, None]
    assert list(DIALECT.listed("")) == []


def test_refused_cancels_are_read() -> None:
    text = "flux-cancel: ERROR: ƒ2SfNUMd: job is inactive\nflux-cancel: ERROR: ƒ999999: unknown job id\n"
    assert list(DIALECT.cancelled(1, text)) == ["f2SfNUMd", "f999999"]

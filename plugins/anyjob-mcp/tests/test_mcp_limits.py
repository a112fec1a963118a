"""What a server was not started to allow is refused, in words."""

from __future__ import annotations

from typing import Any

import pytest
from anyjob_mcp.limits import read_limits
from test_mcp_tools import data, ended, error

import anyjob
from anyjob import Command, SpecError
from conftest import Ask, asker

OPTIONS: dict[str, Any] = {"writes": True, "cancels_any": False, "most_open": 1, "cpus": 2, "gpus": 0}


def test_by_default_nothing_is_run_or_cancelled(reader: Ask) -> None:
    assert "read-only" in error(reader("run", command=["true"], name="never"))
    assert data(reader("list", name="never"))["jobs"] == []
    job = anyjob.run(Command(["cat", "/dev/zero"]), "local")
    assert "--write" in error(reader("cancel", job_id=job.job_id()))
    assert not job.done()
    job.cancel()


def test_other_backends_are_neither_run_on_nor_seen(writer: Ask) -> None:
    job_id = ended("elsewhere", "echo", "secret")
    other = asker("other")
    assert data(other("list"))["jobs"] == []
    assert data(other("usage")) == []
    for tool in ("show", "explain", "logs"):
        assert "no one job that this server sees" in error(other(tool, job_id=job_id))
    assert "'local' is not among" in error(other("list", backend="local"))
    assert "'threads' is not among" in error(writer("run", command=["true"], backend="threads"))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"cpus": 3}, "cpus of 2 at most, not 3"),
        ({"gpus": 1}, "gpus of 0 at most, not 1"),
        ({"memory": "3GiB"}, "memory of 1024 MiB at most"),
        ({"walltime": "1d"}, "walltime of 60 s at most"),
    ],
)
def test_a_job_may_ask_for_so_much(asked: dict[str, Any], words: str) -> None:
    assert words in error(asker("local", writes=True, memory="1GiB")("run", command=["true"], **asked))


def test_what_is_not_asked_for_is_bounded_too() -> None:
    limits = read_limits(["local"], memory="1GiB", walltime="1m", **OPTIONS)
    assert limits.bounded({}) == {"name": "", "cpus": 1, "memory": 2**30, "walltime": 60.0}


def test_so_many_are_open_at_a_time(writer: Ask) -> None:
    one = asker("local", writes=True, most_open=1)
    job_id = data(one("run", command=["cat", "/dev/zero"]))["job_id"]
    assert "--max-open" in error(one("run", command=["true"]))
    data(one("cancel", job_id=job_id))
    anyjob.wait([anyjob.get_job(job_id)], timeout=60)
    data(one("run", command=["true"]))


def test_jobs_of_others_are_cancelled_only_where_that_is_allowed(writer: Ask) -> None:
    job = anyjob.run(Command(["cat", "/dev/zero"]), "local")
    assert "not run here" in error(writer("cancel", job_id=job.job_id()))
    assert not job.done()
    data(asker("local", writes=True, cancels_any=True)("cancel", job_id=job.job_id()))
    anyjob.wait([job], timeout=60)


@pytest.mark.parametrize(
    ("backends", "options", "words"),
    [
        ([], {}, "add --backend NAME"),
        (["local"], {"writes": False, "cancels_any": True}, "add --write"),
        (["local"], {"memory": "much"}, "--max-"),
        (["local"], {"walltime": "90"}, "has no unit"),
    ],
)
def test_options_that_make_no_sense_are_told(
    backends: list[str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        read_limits(backends, **{"memory": None, "walltime": "1m", **OPTIONS, **options})

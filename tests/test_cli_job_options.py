"""What options of `anyjob run` become of a job's resources, without running it."""

from __future__ import annotations

from typing import Any

import click
import pytest

from anyjob.batch.options import BatchJobOptions
from anyjob.cli.run.job_options import job_options, read_keywords
from anyjob.config.options import validate_options
from anyjob.errors import ConfigError
from anyjob.retry import Retry, as_retry


def keywords(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    @click.command()
    @click.option("--once")
    @click.option("--cache")
    @job_options
    def command(**options: Any) -> None:
        found.update(read_keywords(options))

    command.main(list(arguments), standalone_mode=False)
    return found


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (["slurm.partition=gpu"], {"slurm": {"partition": "gpu"}}),
        (["slurm.pack=4"], {"slurm": {"pack": 4}}),
        (['psij.attributes={"lsf.x": 1}'], {"psij": {"attributes": {"lsf.x": 1}}}),
        (
            ["psij.attributes.lsf.x=1", "psij.attributes.lsf.y=1.10", "psij.queue=q"],
            {"psij": {"attributes": {"lsf.x": 1, "lsf.y": "1.10"}, "queue": "q"}},
        ),
        (["ray.resources.tpu=0.5"], {"ray": {"resources": {"tpu": 0.5}}}),
    ],
    ids=str,
)
def test_options_of_an_engine_and_entries_of_their_tables(given: list[str], options: dict[str, Any]) -> None:
    assert keywords(*(text for each in given for text in ("--option", each)))["options"] == options


def test_a_retry_policy_is_made_of_its_options() -> None:
    given = "--retries 3 --retry-wait 10s --retry-backoff 2 --retry-jitter 0.2 --retry-grow memory=2"
    made = keywords(*given.split(), "--retry-most", "memory=64GiB", "--memory", "1GiB", "--restartable")
    same = Retry(3, wait=10, backoff=2, jitter=0.2, grow={"memory": 2}, most={"memory": "64GiB"})
    assert as_retry(made["retries"]) == same
    assert made["restartable"] is True
    assert "restartable" not in keywords()
    assert keywords(*["--walltime", "2m", "--signal-before", "1m", "--signal", "USR1"])["signal"] == "USR1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--retry-backoff 2", "--retry-backoff says how: give --retries N, too"),
        ("--retries 1 --retry-backoff x", "--retry-backoff"),
        ("--retries 1 --retry-jitter 7", "--retry-jitter"),
        ("--retries 1 --retry-most memory=1GiB", "--retry-most: memory does not grow"),
    ],
)
def test_a_wrong_one_is_told_by_the_name_of_its_option(given: str, said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        keywords(*given.split())


def test_no_allocation_is_to_run_more_jobs_than_it_could_read_the_ids_of() -> None:
    with pytest.raises(ConfigError, match="pack: expected integer <= 100000"):
        validate_options(BatchJobOptions, {"pack": 10**30})

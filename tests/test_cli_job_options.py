"""What options of `anyjob run` become of a job's resources, without running it."""

from __future__ import annotations

from typing import Any

import click
import pytest

from anyjob.batch.options import BatchJobOptions
from anyjob.cli.run.job_options import job_options, read_keywords
from anyjob.config.options import validate_options
from anyjob.errors import ConfigError


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


def test_no_allocation_is_to_run_more_jobs_than_it_could_read_the_ids_of() -> None:
    with pytest.raises(ConfigError, match="pack: expected integer <= 100000"):
        validate_options(BatchJobOptions, {"pack": 10**30})

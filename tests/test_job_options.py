"""The page that lists what a job can be told in Python, on the command line and in job files is whole."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from anyjob import Resources, Retry
from anyjob.cli.run.command import run
from anyjob.cli.run.job_options import job_options
from anyjob.jobfile.reader import parse

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "job-options.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]


def test_each_field_of_resources_and_of_a_retry_has_a_row() -> None:
    keywords = {keyword for row in ROWS for keyword in re.findall(r"(\w+)=", row[0])}
    assert {*Resources.__struct_fields__, *Retry.__struct_fields__} - keywords == {"times"}


def test_each_option_that_says_something_of_a_job_is_listed_and_no_other() -> None:
    @job_options
    def command(**_: object) -> None:
        pass

    said = {flag for option in click.command()(command).params for flag in option.opts}
    listed = {flag for row in ROWS for flag in re.findall(r"`(--[a-z-]+)", row[1])}
    assert listed - {"--backend", "--once", "--cache"} == said
    assert listed <= {flag for option in run.params for flag in option.opts}


@pytest.mark.parametrize(
    "keyword", [row[0].split("=")[0].strip("`") for row in ROWS if "[resources]" in row[2]]
)
def test_a_job_file_takes_what_the_page_says(keyword: str, tmp_path: Path) -> None:
    values = {
        "tags": "{ study = 'a' }", "needs": "{ license = 1 }", "memory": "'1GiB'", "gpu_memory": "'1GiB'",
        "restartable": "true", "signal": "'USR1'", "signal_before": "'1m'", "on_walltime": "'requeue'",
    }  # fmt: skip
    more = "walltime = '2m'\n" if keyword != "walltime" else ""
    more += "signal_before = '1m'\n" if keyword == "signal" else ""
    text = f"[command]\nargv = ['true']\n[resources]\n{more}{keyword} = {values.get(keyword, 2)}\n"
    assert keyword in parse(text, str(tmp_path / "one.toml")).resources

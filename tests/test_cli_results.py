"""``anyjob run FILE.toml --results FILE``."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from support.cli_program import invoke

pytestmark = pytest.mark.usefixtures("local_cli")

SCRIPT = """printf '{{"twice": %s, "text": "a,b"}}' $(( {n} * 2 )); [ {n} != 3 ]"""
JOBS = f"command = {{ argv = {json.dumps(['sh', '-c', SCRIPT])} }}\nmatrix = {{ n = [1, 3] }}\n"


@pytest.fixture(autouse=True)
def job_file(local_cli: object) -> None:
    Path("jobs.toml").write_text(JOBS)


def test_csv_and_json_have_the_table() -> None:
    done = invoke("run", "jobs.toml", "--results", "out.csv")
    assert done.exit_code == 1, "a job has failed, and is in the table all the same"
    (first, second) = csv.DictReader(Path("out.csv").read_text().splitlines())
    assert {key: first[key] for key in first if key != "job_id"} == {
        "n": "1", "state": "DONE", "twice": "2", "text": "a,b", "error": ""
    }  # fmt: skip
    assert (second["state"], second["twice"], bool(second["error"])) == ("ERROR", "", True)
    invoke("run", "jobs.toml", "--results", "out.json")
    told = json.loads(Path("out.json").read_text())
    assert (told[0]["twice"], told[0]["job_id"], told[1]["twice"]) == (2, first["job_id"], None)
    assert not list(Path().glob("*.part"))


def test_steps_and_single_jobs_have_a_table_too() -> None:
    Path("one.toml").write_text('command = { argv = ["true"] }\n')
    assert invoke("run", "one.toml", "--results", "one.csv").exit_code == 0
    assert Path("one.csv").read_text().splitlines()[0] == "job_id,state,error"
    Path("steps.toml").write_text('[[job]]\nname = "a"\ncommand = { argv = ["true"] }\n')
    assert invoke("run", "steps.toml", "--results", "steps.csv").exit_code == 0
    assert Path("steps.csv").read_text().splitlines()[0] == "job_id,step,state,error"


def test_parquet_has_columns_of_types() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    invoke("run", "jobs.toml", "--results", "out.parquet")
    assert parquet.read_table("out.parquet").to_pydict()["twice"] == [2, None]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--results", "out.txt"], "the name ends with how it is written: .csv, .json, .parquet"),
        (["--results", "nowhere/out.csv"], "there is no directory"),
        (["--results", "out.csv", "--detach"], "--results are written at the end"),
        (["--results", "out.parquet"], "pip install pyarrow"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_run(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    before = invoke("jobs", "--json").stdout
    done = invoke("run", "jobs.toml", *words)
    assert (done.exit_code, told in done.stderr) == (125, True), done.stderr
    assert invoke("jobs", "--json").stdout == before

"""``anyjob run --type KIND``: a spec made of its struct's fields."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import invoke

from anyjob import (
    Call,
    Command,
    Config,
    File,
    Registry,
    Session,
    Spec,
    SpecError,
    TaskJob,
    set_default_session,
)
from anyjob.cli.run.sweeps.sweep import parse_axis
from anyjob.cli.terminal.values import parse_value
from anyjob.jobfile.spec_builder import make_spec


class Report(Spec, frozen=True, tag="acme.report"):
    """A report.

    Args:
        template: what to fill in.
        parameters: what to fill it with.
        copies: how many of them.
        name: of whom it is.
        colour: whether it is coloured.
        sizes: of the paper.
        data: more files.
        values: what is one of several.
        numbered: by number.
        pair: a number and a text.
        level: as a number, or by name.
    """

    template: File
    parameters: dict[str, Any] = {}
    copies: int = 1
    name: str = "?"
    colour: bool = True
    sizes: list[float] = []
    data: list[File] = []
    values: dict[str, int | float | str] = {}
    numbered: dict[int, str] = {}
    pair: tuple[int, str] | None = None
    level: int | str = 0


def show(**fields: Any) -> dict[str, Any]:
    return fields


class ReportJob(TaskJob):
    spec_type = Report
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        fields = {
            name: getattr(spec, name) for name in Report.__struct_fields__ if name not in ("template", "data")
        }
        files = [
            (spec.template.content or b"").decode(),
            *((file.content or b"").decode() for file in spec.data),
        ]
        return Call(show, kwargs={**fields, "files": files})

    @classmethod
    def lift(cls, spec: Any, to: str, value: Any) -> Any:
        return value


class NoSpecJob(TaskJob):
    """Made by programs only."""


@pytest.fixture(autouse=True)
def _kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("T")
    (tmp_path / "d.txt").write_text("D")
    registry = Registry()
    registry.register_job_type("acme.report", ReportJob)
    registry.register_job_type("acme.none", NoSpecJob)
    set_default_session(Session(Config.from_dict({"default_backend": "threads"}), registry))
    yield
    set_default_session(None)


def report(*arguments: str) -> Any:
    done = invoke("run", "--type", "acme.report", "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["result"]


def test_files_are_positional_mappings_are_p_and_the_rest_are_options() -> None:
    made = report("t.txt", "d.txt", "d.txt", "-p", "a=1", "-p", "b=x=y", "--copies", "2", "--no-colour",
                  "--sizes", "4", "--sizes", "5.5")  # fmt: skip
    assert made == {
        "files": ["T", "D", "D"],
        "parameters": {"a": 1, "b": "x=y"},
        "copies": 2,
        "colour": False,
        "sizes": [4.0, 5.5],
        "name": "?",
        "values": {},
        "numbered": {},
        "pair": None,
        "level": 0,
    }


@pytest.mark.parametrize("written", ["on the command line", "in a job file"])
def test_values_have_the_types_that_a_kind_declares(written: str, tmp_path: Path) -> None:
    if written == "in a job file":
        (tmp_path / "report.toml").write_text(
            '[job]\ntype = "acme.report"\ntemplate = "t.txt"\npair = [1, "2"]\nlevel = 3\n'
            'values = {n = 5, x = 0.5, name = "five", text = "5", yes = "true"}\nnumbered = {7 = "8"}\n'
            "[matrix]\ni = [0]\n"
        )
        done = invoke("run", "report.toml", "--json")
        assert done.exit_code == 0, done.stderr
        made = json.loads(done.stdout)["jobs"][0]["result"]
    else:
        made = report("t.txt", "--values", "n=5", "--values", "x=0.5", "--values", "name=five",
                      "--values", 'text="5"', "--values", "yes=true", "--numbered", "7=8",
                      "--pair", "1", "--pair", "2", "--level", "3")  # fmt: skip
    assert made["values"] == {"n": 5, "x": 0.5, "name": "five", "text": "5", "yes": "true"}
    assert (made["numbered"], made["pair"], made["level"]) == ({"7": "8"}, [1, "2"], 3)
    assert type(made["values"]["n"]) is int


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7e12345", "7e12345"), ("-1e999", "-1e999"), ("Infinity", "Infinity"), ("NaN", "NaN")),
        *(
            ("[1e999]", "[1e999]"),
            ("1e3", 1000.0),
            ("-1.5e-300", -1.5e-300),
            ('{"a": [null]}', {"a": [None]}),
        ),
    ],
)
def test_an_id_that_no_float_holds_is_text_and_no_infinity(text: str, value: Any) -> None:
    assert parse_value(text) == value
    assert parse_axis(text) == (value if isinstance(value, list) else [value])


@pytest.mark.parametrize("place", ["jobs", "."])
def test_files_in_a_job_file_are_beside_it(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "jobs"
    beside.mkdir()
    (beside / "t.txt").write_text("T of jobs")
    (beside / "report.toml").write_text(
        '[job]\ntype = "acme.report"\ntemplate = "t.txt"\ndata = ["../d.txt", "{where}/t.txt"]\n'
        f'[matrix]\nwhere = ["{beside}", ".."]\n'
    )
    monkeypatch.chdir(tmp_path / place)
    done = invoke("run", os.path.relpath(beside / "report.toml"), "--json")
    assert done.exit_code == 0, done.stderr
    found = [job["result"]["files"] for job in json.loads(done.stdout)["jobs"]]
    assert found == [["T of jobs", "D", "T of jobs"], ["T of jobs", "D", "T"]]


def test_a_field_that_has_the_name_of_a_resource() -> None:
    assert report("t.txt", "--name", "of the job", "--spec-name", "of the field")["name"] == "of the field"


def test_text_stays_text_where_the_field_is_text() -> None:
    assert report("t.txt", "--spec-name", "12")["name"] == "12"


def test_help_shows_the_fields() -> None:
    done = invoke("run", "--type", "acme.report", "--help")
    assert done.exit_code == 0
    assert "TEMPLATE [DATA]..." in done.stdout
    assert "--copies INTEGER" in done.stdout
    assert "how many of them" in done.stdout
    assert "--colour / --no-colour" in done.stdout
    assert "--cwd" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["acme.report"], "TEMPLATE"),
        (["acme.report", "nowhere.txt"], "nowhere.txt"),
        (["acme.report", "t.txt", "--copies", "many"], "copies"),
        (["acme.report", "t.txt", "-p", "a"], "KEY=VALUE"),
        (["acme.report", "t.txt", "--", "echo"], "drop the command after --"),
        (["acme.none"], "declares no spec_type"),
        (["python", "--fn", "nothing"], "module:function"),
    ],
)
def test_what_cannot_be_made_is_told(arguments: list[str], said: str) -> None:
    done = invoke("run", "--type", *arguments)
    assert done.exit_code == 125
    assert said in done.stderr


def test_a_result_is_printed() -> None:
    done = invoke("run", "--type", "python", "--fn", "math:sqrt", "--args", "2.25")
    assert (done.exit_code, done.stdout) == (0, "1.5\n")
    done = invoke("run", "--type", "python", "--fn", "builtins:dict", "-p", "a=[1]")
    assert done.stdout == "{'a': [1]}\n"


def test_what_a_call_raises_is_told_with_where() -> None:
    """ibmq-provider#390, submitit PR#1715: the original exception and the remote traceback."""
    done = invoke("run", "--type", "python", "--fn", "json:loads", "--args", '"{"')
    assert done.exit_code == 1
    assert "json.decoder.JSONDecodeError: Expecting property name" in done.stderr
    assert "in loads" in done.stderr


def test_a_command_by_its_fields() -> None:
    done = invoke(
        "run", "--type", "command", "--argv", "sh", "--argv=-c", "--argv", "echo $A; exit 4", "-p", "A=b"
    )
    assert (done.exit_code, done.stdout) == (4, "b\n")


def test_specs_of_plain_data() -> None:
    made = make_spec(Report, {"template": "t.txt", "data": ["d.txt"], "copies": 3}, "here")
    assert made == Report(File("t.txt"), copies=3, data=[File("d.txt")])
    with pytest.raises(SpecError, match=r"^here: Report has no field 'copis'; did you mean 'copies'\?$"):
        make_spec(Report, {"template": "t.txt", "copis": 3}, "here")
    with pytest.raises(SpecError, match=r"^here: Expected `int`, got `str` - at `\$\.copies`$"):
        make_spec(Report, {"template": "t.txt", "copies": "3"}, "here")
    with pytest.raises(SpecError, match=r"^here: env 'SIZE': Expected `str`, got `int` - at "):
        make_spec(Command, {"argv": ["true"], "env": {"HOME": "/", "SIZE": 3}}, "here")

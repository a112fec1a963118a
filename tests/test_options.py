"""Options checked against the ``Options`` of a type, and described."""

from __future__ import annotations

import enum
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from anyjob.config.layers.origins import Origin, Values
from anyjob.config.options import OptionInfo, describe, secret_fields, validate_options
from anyjob.config.secrets import Secret
from anyjob.config.settings import Config
from anyjob.errors import ConfigError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Limits(msgspec.Struct):
    cores: int = 1
    token: Secret | None = None


class Base(msgspec.Struct, kw_only=True):
    """What all have.

    Attributes:
        slots: how many
            at once.
    """

    slots: int = 1


class Options(Base, kw_only=True):
    """Of a test.

    Args:
        partition: where it queues.
        spool (Path): a directory.

    Raises:
        partition: not an argument at all.
    """

    partition: str
    token: Secret | None = None
    spool: Path | None = None
    mode: Literal["fast", "slow"] = "fast"
    colour: Colour = Colour.RED
    hosts: list[str] = []
    limits: Limits | None = None
    weight: Annotated[float, msgspec.Meta(ge=0, description="relative")] = 1.0
    grace: timedelta = timedelta(seconds=5)
    extra: dict[str, int] = {}
    parts: tuple[Limits, ...] = ()

    def __post_init__(self) -> None:
        if self.slots > 100:
            raise ValueError("slots: more than 100 make no sense")


def problems_of(values: dict[str, Any], **arguments: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate_options(Options, values, **arguments)
    return str(caught.value).splitlines()


def test_good_values_make_options() -> None:
    options = validate_options(
        Options,
        {
            "partition": "debug",
            "token": {"env": "TOKEN"},
            "spool": "~/spool",
            "mode": "slow",
            "colour": "blue",
            "hosts": ["a", "b"],
            "limits": {"cores": 3, "token": "literal"},
            "weight": 2,
            "extra": {"a": 1},
        },
    )
    assert options.token == Secret({"env": "TOKEN"})
    assert options.spool == Path.home() / "spool"
    assert options.colour is Colour.BLUE
    assert options.hosts == ["a", "b"]
    assert options.limits is not None
    assert (options.limits.cores, options.limits.token) == (3, Secret("literal"))
    assert (options.weight, options.slots, options.extra) == (2.0, 1, {"a": 1})


def test_every_problem_is_told_at_once() -> None:
    values = {
        "partitoin": "x",
        "slots": "4",
        "hosts": ["a", 3],
        "limits": {"coers": 1},
        "mode": "quick",
        "parts": [{"cores": 1}, {"coers": 1, "cores": "x"}],
    }
    assert problems_of(Values(values, "backends.hpc", {"": Origin("project", "f.toml")})) == [
        "f.toml: backends.hpc.partitoin: unknown option; did you mean 'partition'?",
        "f.toml: backends.hpc.slots: expected integer, got string",
        "f.toml: backends.hpc.partition: is missing; expected string: where it queues",
        "f.toml: backends.hpc.mode: expected 'fast' or 'slow', got 'quick'",
        "f.toml: backends.hpc.hosts[1]: expected string, got integer",
        "f.toml: backends.hpc.limits.coers: unknown option; did you mean 'cores'?",
        "f.toml: backends.hpc.parts[1].coers: unknown option; did you mean 'cores'?",
        "f.toml: backends.hpc.parts[1].cores: expected integer, got string",
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"zzz": 1}, "here: zzz: unknown option; there are: colour, extra, grace, hosts, limits, mode, "
                     "partition, parts, slots, spool, token, weight"),
        ({"parts": [{"cores": 1}, 3]}, "here: parts[1]: expected table, got integer"),
        ({"weight": -1}, "here: weight: expected float >= 0.0"),
        ({"weight": True}, "here: weight: expected float, got boolean"),
        ({"weight": float("inf")}, "here: weight: expected a finite number, got inf"),
        ({"limits": 3}, "here: limits: expected table, got integer"),
        ({"spool": 3}, "here: spool: expected path, got integer"),
        ({"colour": "pink"}, "here: colour: expected 'red' or 'blue', got 'pink'"),
        ({"extra": {"a": "b"}}, "here: extra.a: expected integer, got string"),
        ({"slots": 101}, "here: slots: more than 100 make no sense"),
        ({"slots": None}, "here: slots: expected integer, got null"),
    ],
)  # fmt: skip
def test_each_problem_is_told_in_the_words_of_toml(values: dict[str, Any], problem: str) -> None:
    assert problems_of({"partition": "p", **values}, where="here") == [problem]


@pytest.mark.parametrize(
    "value", [{"env": "A", "file": "/b"}, {"vault": "s3cret"}, 7, {"file": "s3cret"}, ["s3cret"]]
)
def test_a_bad_secret_is_told_with_its_place(value: Any) -> None:
    (problem,) = problems_of({"partition": "p", "token": value}, where="here")
    assert problem.startswith("here: token: ")


def test_a_wrong_value_is_not_shown() -> None:
    """It may be a secret under the wrong key."""
    assert "s3cret" not in str(problems_of({"partition": "p", "tokn": "s3cret", "slots": "s3cret"}))


def test_somebody_elses_keys_are_skipped() -> None:
    assert validate_options(Options, {"partition": "p", "version": 3}, skip={"version"}).partition == "p"


def from_environment(values: dict[str, Any], *textual: str) -> Values:
    """These options, some of which come from environment variables."""
    return Values(values, "backends.hpc", {key: Origin("environment") for key in textual})


def test_text_is_converted_only_where_it_had_no_choice() -> None:
    values = {"partition": "7", "slots": "4", "weight": "2", "hosts": '["a"]', "limits": {"cores": "2"},
              "extra": {"a": "1"}}  # fmt: skip
    options = validate_options(
        Options, from_environment(values, "slots", "weight", "hosts", "limits.cores", "extra.a")
    )
    assert (options.partition, options.slots, options.weight, options.hosts) == ("7", 4, 2.0, ["a"])
    assert options.limits == Limits(cores=2)
    assert options.extra == {"a": 1}
    assert problems_of(from_environment(values, "weight", "hosts", "limits.cores", "extra.a")) == [
        "backends.hpc.slots: expected integer, got string"
    ]


@pytest.mark.parametrize(
    ("text", "why"), [("a,b", "got string"), ("[a", "as JSON"), ('["a", []]', "got array")]
)
def test_text_that_cannot_be_converted_is_told(text: str, why: str) -> None:
    (problem,) = problems_of(from_environment({"partition": "p", "hosts": text}, "hosts"))
    assert re.match(r"environment: backends\.hpc\.hosts(\[1\])?: expected ", problem)
    assert why in problem


def test_configured_values_know_their_places() -> None:
    config = Config.from_dict({"backends": {"hpc": {"type": "slurm", "partitoin": "x"}}}, origin="my program")
    assert problems_of(config.backends["hpc"].options) == [
        "my program: backends.hpc.partitoin: unknown option; did you mean 'partition'?",
        "my program: backends.hpc.partition: is missing; expected string: where it queues",
    ]


def test_options_are_described() -> None:
    shown = {info.name: info for info in describe(Options)}
    assert [info.name for info in describe(Options)][:2] == ["slots", "partition"]
    assert shown["slots"] == OptionInfo("slots", "integer", False, 1, "how many at once.")
    assert shown["partition"] == OptionInfo("partition", "string", True, None, "where it queues.")
    assert (shown["token"][1:4], shown["token"].secret) == (("secret", False, None), True)
    assert shown["spool"].doc == "a directory."
    assert shown["weight"][1:5] == ("float", False, 1.0, "relative")
    words = {name: info.type for name, info in shown.items()}
    assert words["mode"] == "'fast' or 'slow'"
    assert words["colour"] == "'red' or 'blue'"
    assert words["hosts"] == "array of string"
    assert words["limits"] == words["extra"] == "table"
    assert shown["hosts"].default == []


def test_fields_that_are_secret_are_known() -> None:
    assert secret_fields(Options) == {"token", "limits.token"}


def test_renamed_options_go_by_their_new_names() -> None:
    class Renamed(msgspec.Struct, rename="kebab"):
        max_jobs: int = 1

    assert validate_options(Renamed, {"max-jobs": 3}).max_jobs == 3
    assert describe(Renamed)[0].name == "max-jobs"

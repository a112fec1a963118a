"""What a name stands for, as data: fields, JSON Schemas, and what is wrong with a configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from right_provider import CloudProvider
from support.cli_program import invoke
from support.scripted_backends import ScriptedBackend

from anyjob import (
    AmbiguousNameError,
    Call,
    Command,
    Config,
    Options,
    Registry,
    Resources,
    Secret,
    Session,
    TaskBackend,
    UnknownNameError,
)
from anyjob.sdk import fields, json_schema, schema_hook


class Tuning(Options, frozen=True):
    """How it is tuned.

    Args:
        turns: how often.
    """

    turns: int = 1


class LabOptions(Options, frozen=True, rename={"retry_s": "retry"}):
    """Options of a lab.

    Args:
        token: lets you in.
        retry_s: seconds
            between two attempts.
        directory: for files.
        tuning: of the engine.
    """

    token: Secret
    retry_s: float = 2.0
    directory: Path = Path("/srv")
    level: Annotated[int, msgspec.Meta(ge=0, le=3, description="how hard it tries")] = 1
    tuning: Tuning | None = None
    keys: dict[str, Secret] = {}


class LabBackend(TaskBackend):
    """Runs work at the lab.

    And more.
    """

    Options = LabOptions
    accepts = frozenset({"command"})

    def launch(self, orders: Any) -> Any: ...
    def observe(self, tickets: Any) -> Any: ...
    def terminate(self, tickets: Any) -> Any: ...


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register_backend("lab", LabBackend)
    registry.register_backend("plain", ScriptedBackend)
    registry.register_provider("cloud", CloudProvider)
    return registry


def test_fields_are_plain_data_with_their_texts() -> None:
    told = {each["name"]: each for each in fields(LabOptions)}
    assert told["token"] == {
        "name": "token",
        "type": "secret",
        "required": True,
        "default": None,
        "doc": "lets you in.",
        "secret": True,
    }
    assert (told["retry"]["doc"], told["retry"]["default"]) == ("seconds between two attempts.", 2.0)
    assert (told["directory"]["default"], told["level"]["doc"]) == ("/srv", "how hard it tries")
    assert told["level"]["secret"] is False
    assert json.loads(json.dumps(list(told.values()))) == list(told.values())


def test_a_schema_has_types_bounds_and_texts() -> None:
    schema = json_schema(LabOptions)
    lab, tuning = schema["$defs"]["LabOptions"], schema["$defs"]["Tuning"]
    assert lab["required"] == ["token"]
    assert lab["additionalProperties"] is False
    assert lab["properties"]["level"] == {
        "description": "how hard it tries", "type": "integer", "minimum": 0, "maximum": 3, "default": 1,
    }  # fmt: skip
    assert lab["properties"]["retry"]["description"] == "seconds between two attempts."
    assert tuning["properties"]["turns"]["description"] == "how often."
    kept, *_, text = lab["properties"]["token"]["anyOf"]
    assert (kept["required"], text) == (["env"], {"type": "string", "writeOnly": True})
    assert lab["properties"]["token"]["description"] == "lets you in."
    by_msgspec = msgspec.json.schema(CloudProvider.Options, schema_hook=schema_hook)
    assert "env" in str(by_msgspec["$defs"]["CloudOptions"]["properties"]["key"])


def test_there_is_a_schema_of_every_type_that_is_installed(registry: Registry) -> None:
    for group in ("anyjob.backends", "anyjob.providers", "anyjob.job_types"):
        for name in registry.names(group):
            described = registry.describe(name, group)
            assert json.loads(json.dumps(described)) == described
            assert described["class"]


def test_specs_and_resources_have_schemas() -> None:
    command = json_schema(Command)["$defs"]["Command"]
    assert command["properties"]["kind"] == {"enum": ["command"]}
    assert command["properties"]["cwd"]["description"].startswith("the directory to run in")
    assert "fn" in json_schema(Call)["$defs"]["Call"]["required"]
    memory = json_schema(Resources)["$defs"]["Resources"]["properties"]["memory"]
    assert {each["type"] for each in memory["anyOf"]} == {"integer", "null", "string"}  # "8GiB"
    with pytest.raises(TypeError, match="int'> is no msgspec struct"):
        json_schema(int)


def test_a_backend_a_provider_and_a_kind_are_described(registry: Registry) -> None:
    lab = registry.describe("lab")
    assert (lab["group"], lab["doc"], lab["accepts"]) == (
        "anyjob.backends",
        "Runs work at the lab.",
        ["command"],
    )
    assert lab["capabilities"]["durable"] is False
    assert [each["name"] for each in lab["options"]] == [
        "token", "retry", "directory", "level", "tuning", "keys",
    ]  # fmt: skip
    assert lab["job_options"] == []
    plain = registry.describe("plain")
    assert (plain["options"], plain["options_schema"]) == (None, None)  # it takes any
    cloud = registry.describe("cloud")
    assert [each["name"] for each in cloud["backend_options"]] == ["directory", "slots"]
    assert [each["secret"] for each in cloud["options"]] == [False, True, False]
    command = registry.describe("command")
    assert (command["group"], command["distribution"]) == ("anyjob.job_types", "anyjob")
    assert [each["name"] for each in command["spec"]] == [
        "argv", "env", "cwd", "stdin", "files", "stdout", "stderr",
    ]  # fmt: skip


def test_a_name_of_several_groups_or_of_none_is_an_error(registry: Registry) -> None:
    registry.register_backend("cloud", ScriptedBackend)
    with pytest.raises(AmbiguousNameError, match=r"by group='anyjob\.backends' or group='anyjob\.providers'"):
        registry.describe("cloud")
    assert registry.describe("cloud", "anyjob.providers")["group"] == "anyjob.providers"
    with pytest.raises(UnknownNameError, match="no backend is called 'lap'; did you mean 'lab'"):
        registry.describe("lap")
    with pytest.raises(UnknownNameError, match=r"no group of plugins is called 'backends'"):
        registry.describe("lab", "backends")
    with pytest.raises(UnknownNameError, match=r"nothing is described of 'anyjob\.plugins'"):
        registry.describe("lab", "anyjob.plugins")


# --- what is wrong with a configuration -----------------------------------------------------------


def test_a_session_checks_its_configuration_secrets_included(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAB_TOKEN", raising=False)
    table = {
        "type": "lab",
        "token": {"env": "LAB_TOKEN"},
        "keys": {"a": {"file": str(tmp_path / "none")}, "b": {"keyring": "lab/me"}},
    }
    config = {
        "backends": {
            "hpc": table,
            "typo": {**table, "levle": 2},
            "any": {"type": "plain", "x": table["token"]},
        }
    }
    with Session(Config.from_dict(config), registry) as session:
        problems = session.check()
        assert [each for each in problems if "levle" in each] == [
            "from_dict(): backends.typo.levle: unknown option; did you mean 'level'?"
        ]
        unset = [each for each in problems if "levle" not in each]
        assert len(unset) == 3
        assert "environment variable 'LAB_TOKEN' (from_dict(): backends.hpc.token) is not set" in unset[0]
        assert f"file '{tmp_path}/none' (from_dict(): backends.hpc.keys) cannot be read" in unset[1]
        assert "(from_dict(): backends.any.x) is not set" in unset[2]
    monkeypatch.setenv("LAB_TOKEN", "x")
    good = {"backends": {"hpc": {"type": "lab", "token": table["token"]}}}
    with Session(Config.from_dict(good), registry) as session:
        assert session.check() == []


def test_the_command_line_prints_what_a_session_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("anyjob.toml").write_text('[backends.b]\ntype = "threads"\nslosts = 1\n[plugins]\ndeny = 3\n')
    done = invoke("config", "check")
    with Session(Config.load()) as session:
        assert [f"anyjob: error: {each}" for each in session.check()] == done.stderr.splitlines()
        assert len(session.check()) == 1

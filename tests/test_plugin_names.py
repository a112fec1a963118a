"""Names of plugins: what can be one, which are switched on, renamed or unknown, and what a listing tells."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cli_program import invoke
from support.distributions import backend_module, metadata_text
from support.scripted_backends import ScriptedBackend

from anyjob import Config, ConfigError, Registry, Session
from anyjob.errors import BlockedPluginError, BrokenPluginError, UnknownNameError
from anyjob.registry import metadata
from anyjob.registry.entry_points import BACKENDS, JOB_TYPES, PLUGINS, wrong_name
from anyjob.text.suggestions import did_you_mean

ENTRY_POINTS = """
[anyjob.backends]
acme = acme_names:Backend
acme-old = acme_names:Backend [renamed, acme]
acme-older = acme_names:Backend [deprecated]
acme/odd = acme_names:Backend
[anyjob.job_types]
acme.report = acme_names:Report
[anyjob.plugins]
acme = acme_hooks
"""
HEADERS = """Summary: Runs work at Acme's
Home-page: https://acme.example
Project-URL: Documentation, https://docs.acme.example
Project-URL: Source, https://git.acme.example
"""


@pytest.fixture
def acme(import_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with backends, a kind, and a policy."""
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    info = import_site / "anyjob_acme-1.0.dist-info"
    info.mkdir()
    text = metadata_text("anyjob-acme", "1.0").replace("Version: 1.0\n", f"Version: 1.0\n{HEADERS}")
    (info / "METADATA").write_text(text)
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (import_site / "acme_names.py").write_text(
        f"{backend_module()}\nfrom anyjob import TaskJob\nclass Report(TaskJob): pass\n"
    )
    (import_site / "acme_hooks.py").write_text("")
    return import_site


# --- what a listing tells -------------------------------------------------------------------------


def test_a_listing_tells_what_the_metadata_says(acme: Path) -> None:
    lines = {each.name: each for each in Registry().listing(BACKENDS) if each.distribution == "anyjob-acme"}
    line = lines["acme"]
    assert (line.summary, line.version, line.api) == ("Runs work at Acme's", "1.0", "v1")
    assert line.docs == "https://docs.acme.example"
    assert line.links == {
        "Homepage": "https://acme.example",
        "Documentation": "https://docs.acme.example",
        "Source": "https://git.acme.example",
    }
    assert [(each.renamed, each.deprecated) for each in (line, lines["acme-old"], lines["acme-older"])] == [
        ("", False), ("acme", True), ("", True),
    ]  # fmt: skip
    (told,) = [
        each for each in json.loads(invoke("plugins", "list", "--json").stdout) if each["name"] == "acme-old"
    ]
    assert (told["summary"], told["renamed"], told["docs"]) == (line.summary, "acme", line.docs)
    assert "ok, now acme" in invoke("plugins", "list").stdout


def test_metadata_is_read_once_for_all_that_a_distribution_registers(
    acme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    of_file = metadata.Source._read_file

    def noted(self: metadata.Source, name: str) -> str | None:
        read.append(f"{self.distribution}/{name}")
        return of_file(self, name)

    monkeypatch.setattr(metadata.Source, "_read_file", noted)
    for line in Registry([str(acme)]).listing():
        _ = line.version, line.summary, line.links, line.docs
    assert read.count("anyjob-acme/METADATA") == 1


# --- names that were given up ---------------------------------------------------------------------


def test_a_name_that_was_given_up_works_and_says_which_took_its_place(acme: Path) -> None:
    registry = Registry()
    with pytest.warns(FutureWarning, match="'acme-old' of anyjob-acme 1.0 is called 'acme' now") as told:
        assert registry.backend("acme-old") is registry.backend("acme")
    assert len(told) == 1
    assert registry.backend("acme-old") is registry.backend("acme")  # it is said once
    with pytest.warns(FutureWarning, match="'acme-older' of anyjob-acme 1.0 is going to be removed"):
        registry.backend("acme-older")


def test_jobs_under_the_old_name_are_of_the_new_one(acme: Path) -> None:
    with Session(registry=Registry()) as session:
        with pytest.warns(FutureWarning, match="is called 'acme' now"):
            backend: Any = session.get_backend("acme-old")
        assert backend.configured_name == "acme-old"
        assert backend.run.identity.type == "acme"


# --- what can be a name ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acme", "acme.sql", "a_b-c.2", "7up", "größe", "_x"])
def test_what_entry_points_may_be_called_a_program_may_register(name: str) -> None:
    registry = Registry([])
    registry.register_backend(name, ScriptedBackend)
    assert registry.names(BACKENDS) == [name]


@pytest.mark.parametrize("name", ["", "a/b", "d:a", "a b", "-a", ".a", "a=b", "[a]", "a\n", "a#b"])
def test_no_other_name_is_taken(name: str) -> None:
    with pytest.raises(BrokenPluginError, match="is no name: it has letters, digits"):
        Registry([]).register_backend(name, ScriptedBackend)


def test_an_entry_point_of_another_name_is_listed_as_broken(acme: Path) -> None:
    registry = Registry()
    assert "acme/odd" not in registry.names(BACKENDS)
    (line,) = [each for each in registry.listing(BACKENDS) if each.name == "acme/odd"]
    assert (line.state, line.usable) == ("broken", False)
    with pytest.raises(BrokenPluginError, match="'acme/odd' is no name"):
        registry.backend("acme/odd")


@given(st.text(max_size=8))
def test_a_name_is_one_in_metadata_too(name: str) -> None:
    """What is a name comes back from the text of an entry_points.txt as it was."""
    if not wrong_name(name):
        assert list(metadata.parse(f"[g]\n{name} = m:a\n")) == [("g", name, "m:a")]


def test_a_group_that_there_is_not_is_an_error() -> None:
    registry = Registry([])
    asks: list[Callable[[], object]] = [
        lambda: registry.names("backends"),
        lambda: registry.listing("backends"),
        lambda: registry.origin("backends", "acme"),
    ]
    for ask in asks:
        with pytest.raises(UnknownNameError, match=r"'backends'; did you mean 'anyjob\.backends'\?"):
            ask()


def test_of_many_names_the_nearest_five_are_told() -> None:
    registry = Registry([])
    for number in range(1000):
        registry.register_backend(f"machine-{number}", ScriptedBackend)
    with pytest.raises(UnknownNameError) as raised:
        registry.backend("machine-77x")
    assert "machine-77" in str(raised.value)
    assert "and 995 more" in str(raised.value)
    assert len(str(raised.value)) < 500
    told = did_you_mean("zzz", [f"name-{number}" for number in range(1000)])
    assert (told.count("name-"), told[-13:]) == (5, " and 995 more")
    with Session(registry=registry) as session, pytest.raises(UnknownNameError) as unknown:
        session.get_backend("qqq")
    assert len(str(unknown.value)) < 500


def test_what_cannot_be_made_is_reported_once_a_session(caplog: pytest.LogCaptureFixture) -> None:
    config = Config.from_dict({"backends": {"odd": {"type": "threads", "slosts": 1}}})
    with caplog.at_level(logging.WARNING, "anyjob"), Session(config) as session:
        for _ in range(3):
            assert "odd" not in [each.name() for each in session.backends()]
    assert [record.getMessage() for record in caplog.records if "slosts" in record.getMessage()] == [
        "odd: ConfigError: from_dict(): backends.odd.slosts: unknown option; did you mean 'slots'?"
    ]


# --- which are switched on ------------------------------------------------------------------------

ALL = {(BACKENDS, "acme"), (JOB_TYPES, "acme.report"), (PLUGINS, "acme")}


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("anyjob-acme", ALL),
        ("Anyjob.ACME", ALL),
        ("anyjob-*", ALL),
        ("acme", {(BACKENDS, "acme"), (PLUGINS, "acme")}),
        ("plugins/*", {(PLUGINS, "acme")}),
        ("anyjob.plugins/acme", {(PLUGINS, "acme")}),
        ("job_types/acme.*", {(JOB_TYPES, "acme.report")}),
        ("anyjob-acme:plugins/*", {(PLUGINS, "acme")}),
        ("anyjob-acme:acme.report", {(JOB_TYPES, "acme.report")}),
        ("anyjob-acme:*", ALL),
        ("anyjob-other:*", set()),
        ("backends/anyjob-acme", set()),
    ],
)
def test_lists_name_plugins_by_distribution_group_and_name(
    acme: Path, pattern: str, meant: set[tuple[str, str]]
) -> None:
    lists: list[tuple[dict[str, Any], Any]] = [
        ({"deny": [pattern]}, meant),
        ({"allow": [pattern]}, ALL - meant),
    ]
    for given_lists, off in lists:
        registry = Registry(**given_lists)
        states = {(each.group, each.name): each.state for each in registry.listing(hooks=False)}
        assert {each for each in ALL if states[each] == "blocked"} == off
        assert states[BACKENDS, "inline"] == "ok"  # what the core brings stays


def test_who_asks_for_what_is_switched_off_is_told_by_which_list(acme: Path) -> None:
    with pytest.raises(BlockedPluginError, match="switched off: the list `deny` has 'backends/acme'"):
        Registry(deny=["backends/acme"]).backend("acme")
    with pytest.raises(BlockedPluginError, match="the list `allow` is set and does not name it"):
        Registry(allow=[]).backend("acme")
    assert Registry(deny=["plugins/*"]).hook_plugins() == []
    with pytest.raises(
        ConfigError, match="deny: 'backend/acme' names no group of plugins: there are backends, "
    ):
        Registry(deny=["backend/acme"])


def test_the_configuration_switches_plugins_off(
    acme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("anyjob.toml").write_text('[plugins]\ndeny = ["anyjob-acme:backends/*"]\n')
    with Session(Config.load()) as session:
        with pytest.raises(BlockedPluginError, match="the list `deny` has"):
            session.get_backend("acme")
        assert "acme.report" in session.job_types()
    lines = json.loads(invoke("plugins", "list", "--json").stdout)
    states = {(each["group"], each["name"]): each["state"] for each in lines}
    assert (states[BACKENDS, "acme"], states[JOB_TYPES, "acme.report"]) == ("blocked", "ok")
    assert "plugins.deny" in invoke("config", "show").stdout
    assert "anyjob-acme:backends/*" in invoke("config", "show").stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("plugins = 3", ":1: plugins: expected a table, got integer"),
        ('[plugins]\ndenny = ["x"]', ":2: plugins.denny: unknown key; did you mean 'deny'?"),
        ('[plugins]\ndeny = "x"', ":2: plugins.deny: expected an array of names, got string"),
        ("[plugins]\nallow = [1]", ":2: plugins.allow: expected an array of names, got array"),
    ],
)
def test_lists_that_are_none_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("anyjob.toml").write_text(text)
    done = invoke("config", "check")
    assert done.exit_code == 1
    assert os.path.join(str(tmp_path), f"anyjob.toml{says}") in done.stderr
    assert len(done.stderr.splitlines()) == 1

"""``anyjob plugins list``: where each plugin is, and why it does not answer; in a pipe and on a terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import invoke
from support.distributions import install, install_backend

from anyjob.registry.metadata import Source

HANGS = "import threading; threading.Event().wait()"
REGISTERS = """
from anyjob.builtin.threads import ThreadsBackend
def anyjob_register(registry):
    registry.register_backend("good.device", ThreadsBackend)
"""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the commands take stdout for a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    for module in ("testing.commands.plugin_report", "cli.plugins.commands", "cli.terminal.output"):
        monkeypatch.setattr(f"anyjob.{module}.is_terminal", lambda stream: stream is sys.stdout)


def hook_plugin(site: Path, name: str, text: str) -> None:
    module = f"{name}_of_lists"
    groups = {"anyjob.api": {"v1": module}, "anyjob.plugins": {name: module}}
    install(site, name, groups=groups, modules={f"{module}.py": text})


def listed(*arguments: str) -> tuple[dict[str, dict[str, Any]], str]:
    done = invoke("plugins", "list", "--json", *arguments)
    assert done.exit_code == 0
    return {line["name"] or line["distribution"]: line for line in json.loads(done.stdout)}, done.stderr


def test_a_hook_plugin_that_hangs_or_crashes_hides_no_other(site: Path) -> None:
    """llm#1280, conda#12460: one bad plugin killed everything; each is isolated and listed with its cause."""
    hook_plugin(site, "hangs", HANGS)
    hook_plugin(site, "dies", "import os; os._exit(7)")
    hook_plugin(site, "raises", "1 / 0")
    hook_plugin(site, "good", REGISTERS)
    lines, said = listed("--timeout", "4s")
    told = {name: (lines[name]["state"], lines[name]["why"]) for name in ("hangs", "dies", "raises", "good")}
    assert told["hangs"] == ("broken", "its import has not ended within 4 s")
    assert told["dies"] == ("broken", "its import ended the process (exit code 7)")
    assert told["raises"][0] == "broken"
    assert "ZeroDivisionError" in told["raises"][1]
    assert told["good"] == ("ok", "")
    assert (lines["good.device"]["distribution"], lines["good.device"]["state"]) == ("good", "ok")
    assert "that the hook plugin dies of dies 1.0 registers are left out, since its import ended" in said
    assert "that the hook plugin hangs of hangs 1.0 registers are left out" in said
    assert "good" not in said


@pytest.mark.parametrize(
    ("text", "editable"),
    [
        ('{"url": "file:///src/a%20b", "dir_info": {"editable": true}}', "/src/a b"),
        ('{"url": "file:///src/x", "dir_info": {}}', ""),
        ('{"url": "file:///x.whl", "archive_info": {}}', ""),
        ('{"url": 3, "dir_info": {"editable": true}}', ""),
        ("[]", ""),
        ("nonsense", ""),
    ],
)
def test_what_is_installed_in_editable_mode_says_where_its_sources_are(
    site: Path, text: str, editable: str
) -> None:
    install_backend(site, "edited")
    (site / "anyjob_edited-1.0.dist-info" / "direct_url.json").write_text(text)
    line = listed()[0]["edited"]
    assert line["editable"] == editable
    assert line["location"] == str(site / "anyjob_edited-1.0.dist-info")
    place = f"{editable} (editable)" if editable else line["location"]
    assert (
        f"anyjob-edited  1.0      backends   edited     ok     {place}\n" in invoke("plugins", "list").stdout
    )


def test_a_program_has_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "METADATA").write_text("Name: other\nVersion: 9\n")
    (tmp_path / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    monkeypatch.chdir(tmp_path)
    assert (Source("", "", "", b"").version, Source("", "", "", b"").editable) == ("", "")


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_each_distribution_is_named_once_and_its_faults_are_set_in_the_width(
    site: Path,
) -> None:
    """two plugins, one name: adlfs#302, aiida-core#696, ibmq-provider#43."""
    install_backend(site, "one", distribution="first")
    install_backend(site, "one", distribution="second")
    install(site, "odd", groups={"anyjob.backends": {"odd": "x:Y"}})
    (site / "odd-1.0.dist-info" / "entry_points.txt").write_text("[anyjob.backends]\nnonsense\n")
    told = invoke("plugins", "list").stdout
    table, _, wrong = told.partition("Not all of these answer to their names")
    rows = [line.split() for line in table.splitlines()]
    assert ["first", "1.0", "backends", "one", "ambiguous"] in rows
    assert ["backends", "threads", "ok"] in rows
    assert ["first", "1.0", str(site / "first-1.0.dist-info")] in rows
    assert wrong.count("several distributions have this name") == 1
    assert "broken       odd: line 2 of entry_points.txt" in wrong
    assert max(map(len, wrong.splitlines())) <= 80


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_a_check_is_set_in_the_width(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyjob.testing.commands.plugin_report.is_terminal", lambda stream: True)
    install_backend(site, "bare")
    lines = invoke("plugins", "check", "bare").stdout.splitlines()
    at = lines.index("  warning  it does not require anyjob, so that pip may install it beside any")
    assert lines[at + 1] == "           version, or without"
    assert lines[at + 2].startswith(f"           {site}")
    assert "           → have the authors put an empty file py.typed into the package" in lines
    assert lines[-1] == "1 distribution checked: 1 warning, 1 note"

"""``anyjob plugins check``: every finding, on a plugin that is wrong in that way; none on good ones."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import invoke, start
from support.distributions import install, install_backend
from support.waiting import wait_for_exit, wait_for_file
from wrong_plugins import NAME, WRONG, Change, Wrong, install_changed

from anyjob.testing.diagnosis.findings import CHECKS
from anyjob.testing.diagnosis.public_imports import internal_imports

# What a listing tells of other copies, tested below.
CHECKS_OF_LISTINGS = {"unreadable", "stale", "ambiguous", "incompatible", "twice", "blocked", "shadowed"}


def checked(name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = invoke("plugins", "check", name, "--json", *arguments)
    assert done.stdout, (done.stderr, done.exception)
    (report,) = [each for each in json.loads(done.stdout) if each["distribution"] == name]
    return done.exit_code, report


def names(report: dict[str, Any]) -> list[str]:
    return [each["check"] for each in report["findings"]]


def test_a_good_plugin_has_no_findings(site: Path) -> None:
    install_changed(site)
    code, report = checked(NAME, "--strict")
    assert (code, report["findings"]) == (0, [])
    assert (report["state"], report["why"], report["version"]) == ("ok", "", "1.0")
    assert len(report["entry_points"]) == 6
    assert all(each["modules"] > 0 and each["brings"] == [] for each in report["entry_points"])
    assert 0 < report["seconds"] == sum(each["seconds"] for each in report["entry_points"])


def test_anyjob_itself_has_no_findings() -> None:
    code, report = checked("anyjob", "--strict")
    assert (code, report["findings"]) == (0, [])
    assert len(report["entry_points"]) >= 6


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_a_wrong_plugin_is_found_out(wrong: Wrong, site: Path) -> None:
    install_changed(site, *wrong.changes)
    code, report = checked(NAME, "--timeout", "1s" if wrong.check == "hangs" else "60s")
    found = [each for each in report["findings"] if each["check"] == wrong.check]
    assert [each for each in found if wrong.message in each["message"]], report["findings"]
    assert [each for each in found if wrong.location in each["location"]], found
    level = CHECKS[wrong.check][0]
    assert {each["level"] for each in found} == {level}
    assert all(each["hint"] for each in found)
    assert code == (1 if "error" in [each["level"] for each in report["findings"]] else 0)
    assert (level == "error") <= (report["state"] != "ok" and report["why"] != "")


def test_there_is_a_wrong_plugin_for_every_finding() -> None:
    assert {wrong.check for wrong in WRONG.values()} | CHECKS_OF_LISTINGS == set(CHECKS)


def test_warnings_count_where_that_is_asked_for_and_notes_never_do(site: Path) -> None:
    install_changed(site, *WRONG["no-upper-bound"].changes, *WRONG["unmarked"].changes)
    code, report = checked(NAME)
    assert (code, names(report), report["state"]) == (0, ["bounds", "unmarked"], "ok")
    assert checked(NAME, "--strict")[0] == 1


def test_notes_alone_are_no_failure(site: Path) -> None:
    install_changed(site, *WRONG["unmarked"].changes)
    code, report = checked(NAME, "--strict")
    assert (code, names(report)) == (0, ["unmarked"])


def test_capabilities_may_depend_on_the_options(site: Path) -> None:
    made = "capabilities = property(lambda self: Capabilities(logs=self.options.max_tokens > 1))"
    install_changed(site, Change("backend", "capabilities = Capabilities(logs=True)", made))
    assert checked(NAME)[1]["findings"] == []


@pytest.mark.parametrize(
    ("requires", "bounded"),
    [
        ("'anyjob>=0.1', 'anyjob<2'", True),
        ("'anyjob~=0.1'", True),
        ("'anyjob @ file:///x'", True),
        ("'Anyjob!=7'", False),
    ],
)
def test_bounds_may_be_written_in_several_ways(site: Path, requires: str, bounded: bool) -> None:
    install_changed(site, Change("requires", "'anyjob>=0.1,<2'", requires))
    assert names(checked(NAME)[1]) == [] if bounded else ["bounds"]


# --- what is read in the sources --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "module"),
    [
        ("from anyjob import runner", "anyjob.runner"),
        ("from anyjob.sdk import _MODULE_OF", "anyjob.sdk._MODULE_OF"),
        ("import anyjob.ledger.store as ledger", "anyjob.ledger.store"),
        ("if TYPE_CHECKING:\n    from anyjob.outcome import Outcome", "anyjob.outcome"),
        ("def f():\n    from anyjob.execution import spawning", "anyjob.execution"),
        ("import_module('anyjob.specs')", "anyjob.specs"),
        ("importlib.import_module('anyjob.specs')", "anyjob.specs"),
        ("__import__('anyjob.specs')", "anyjob.specs"),
        ("sys.modules['anyjob.specs']", "anyjob.specs"),
        ("sys.modules.get('anyjob.specs')", "anyjob.specs"),
        ("Call('anyjob.spool.job_spool:root', (1,))", "anyjob.spool.job_spool"),
    ],
)
def test_an_import_of_what_is_not_public_is_found(statement: str, module: str) -> None:
    (found,) = internal_imports(f"\n{statement}\n".encode())
    assert (found.line, found.module) == (1 + len(statement.splitlines()), module)


@pytest.mark.parametrize(
    "text",
    [
        "import anyjob, anyjob.sdk, anyjob.aio",
        "from anyjob import Order, __version__, aio, sdk",
        "from anyjob.sdk import runner",
        "from anyjob.testing import Samples",
        "from anyjob.aio import run",
        "from anyjob_acme.specs import Outcome",
        "from . import specs",
        "# from anyjob.specs import Outcome",
        "JOB = 'anyjob.job'; attributes['anyjob.job'] = 1; print('anyjob.specs')",
        "not Python, and anyjob",
    ],
)
def test_what_is_public_or_no_import_is_not(text: str) -> None:
    assert internal_imports(text.encode()) == []


def test_the_way_out_names_where_it_is_to_be_had(site: Path) -> None:
    names = "Order, read_range, secret_recipe"
    install_changed(site, Change("hooks", "", f"if False:\n    from anyjob.nowhere import {names}"))
    (found,) = checked(NAME)[1]["findings"]
    assert found["hint"] == (
        "have the authors import Order from anyjob, read_range from anyjob.sdk; "
        "have them do without secret_recipe, or ask for a public name in an issue of anyjob's"
    )
    assert found["location"].endswith("acme_of_tests/hooks.py:13")


def test_a_plugin_of_a_single_module_is_read_too(site: Path) -> None:
    code = "import anyjob.specs\nfrom anyjob import BaseBackend as B\n"
    groups = {"anyjob.backends": {"acme": "acme_single:B"}}
    install(site, "acme", groups=groups, modules={"acme_single.py": code})
    assert "internal" in names(checked("acme")[1])


# --- what a listing tells ---------------------------------------------------------------------------


def test_two_plugins_of_one_name(site: Path) -> None:
    """two plugins, one name: adlfs#302, aiida-core#696, ibmq-provider#43."""
    install_backend(site, "one", distribution="first")
    install_backend(site, "one", distribution="second")
    done = invoke("plugins", "check", "first", "--json")
    assert done.exit_code == 1
    (report,) = json.loads(done.stdout)
    assert report["state"] == "ambiguous"
    (found,) = [each for each in report["findings"] if each["check"] == "ambiguous"]
    assert "'first:one' or 'second:one'" in found["message"]
    assert found["entry_point"] == "anyjob.backends:one"
    both = json.loads(invoke("plugins", "check", "one", "--json").stdout)
    assert [each["distribution"] for each in both] == ["first", "second"]


def test_another_interface(site: Path) -> None:
    install_changed(site, Change("entry_points", "'v1'", "'v9'"))
    code, report = checked(NAME)
    assert (code, report["state"]) == (1, "incompatible")
    assert "plugin API v9, and this anyjob has v1" in report["why"]
    assert {each["seconds"] for each in report["entry_points"]} == {None}


def test_entry_points_that_cannot_be_read(site: Path) -> None:
    install_changed(site)
    next(site.glob("*.dist-info/entry_points.txt")).write_text("[anyjob.backends]\nnonsense\n")
    code, report = checked(NAME)
    assert (code, names(report), report["state"]) == (1, ["unreadable"], "broken")
    assert "line 2" in report["findings"][0]["message"]


def test_what_is_left_over(site: Path) -> None:
    """stale metadata: importlib_metadata#481, jupyter_client#692, keyring#486, qiskit#12165."""
    install_backend(site, "old", "1.0")
    install_backend(site, "old", "2.0")
    reports = json.loads(invoke("plugins", "check", "anyjob-old", "--json").stdout)
    found = {each["version"]: names(each) for each in reports}
    assert "stale" in found["1.0"]
    assert "stale" not in found["2.0"]


def test_what_is_shadowed(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    install_backend(site, "twin")
    install_backend(other, "twin")
    monkeypatch.setattr(sys, "path", [*sys.path, str(other)])
    done = invoke("plugins", "check", "anyjob-twin", "--json")
    by_place = {Path(each["location"]).parent: names(each) for each in json.loads(done.stdout)}
    assert done.exit_code == 0
    assert "shadowed" in by_place[other]
    assert "shadowed" not in by_place[site]


def test_one_name_twice_in_one_distribution(site: Path) -> None:
    install(site, NAME, groups={"anyjob.backends": {"a": "x:A", " a": "x:B"}}, modules={"x.py": ""})
    code, report = checked(NAME)
    assert code == 1
    (found,) = [each for each in report["findings"] if each["check"] == "twice"]
    assert "a = x:B is passed over" in found["message"]


def test_what_is_switched_off_is_not_imported(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_DISABLE_PLUGINS", NAME)
    install_changed(site, Change("backend", "", "1 / 0"))
    code, report = checked(NAME)
    assert (code, set(names(report)), report["state"]) == (0, {"blocked"}, "blocked")


# --- in words ---------------------------------------------------------------------------------------


def test_in_a_pipe_a_finding_is_one_line(site: Path) -> None:
    install_changed(
        site, *WRONG["abstract"].changes, *WRONG["no-upper-bound"].changes, *WRONG["unmarked"].changes
    )
    lines = invoke("plugins", "check", NAME).stdout.splitlines()
    assert lines[0].split() == [
        "distribution",
        "version",
        "registers",
        "name",
        "state",
        "ms",
        "modules",
        "brings",
    ]
    assert [line for line in lines if "error: " in line] == [
        f"{NAME}: error: backends acme: AcmeBackend cannot be made: it lacks observe() "
        "(at acme_of_tests.backend:31); have the authors write what is missing"
    ]
    assert lines[-1] == "1 distribution checked: 1 error, 1 warning, 1 note", lines


def test_what_a_plugin_says_moves_no_cursor(site: Path) -> None:
    install_changed(site, Change("backend", "", "raise RuntimeError('\\x1b[2J gone')"))
    told = invoke("plugins", "check", NAME).stdout
    assert "\\x1b[2J gone" in told
    assert "\x1b" not in told


def test_an_unknown_name_is_a_usage_error() -> None:
    done = invoke("plugins", "check", "nobody")
    assert done.exit_code == 125
    assert "'nobody'" in done.stderr


def test_every_check_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs/how-to/check-plugins.md").read_text()
    for name, (level, words) in CHECKS.items():
        assert f"| `{name}` | {level} | {words} |" in page


def test_ctrl_c_ends_the_check_and_what_it_has_started(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = site / "began"
    text = (
        f"import os, threading\nopen({str(began)!r}, 'w').write(str(os.getpid()))\nthreading.Event().wait()"
    )
    install(
        site,
        NAME,
        groups={"anyjob.backends": {"hangs": "hangs_of_checks"}},
        modules={"hangs_of_checks.py": text},
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    with start("plugins", "check", NAME) as process:
        pid = int(wait_for_file(began))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for_exit(pid)


def test_of_a_name_that_is_not_there_the_nearest_is_told() -> None:
    done = invoke("plugins", "check", "anyjb")
    assert done.exit_code == 125
    assert "no installed distribution is called 'anyjb'" in done.stderr
    assert "did you mean 'anyjob'?" in done.stderr

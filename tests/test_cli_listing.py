"""``anyjob backends|plugins|config|completion``, and the group itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import PROGRAM, anyjob, install, invoke

from anyjob import __version__, set_default_session
from anyjob.cli.context import registry

CONFIG = """
default_backend = "hpc"

[backends.hpc]
type = "processes"
slots = 2

[backends.cloud]
type = "acme"
phrase = "s3cret"
region = "here"
"""

ACME = """
from typing import Annotated
import msgspec
from anyjob import Options, Secret
from anyjob.builtin.threads import ThreadsBackend

class AcmeOptions(Options, frozen=True):
    \"\"\"Options.

    Args:
        phrase: lets you in.
        region: where it is.
    \"\"\"
    phrase: Secret
    region: str = "anywhere"
    slots: int = 1

class Acme(ThreadsBackend):
    \"\"\"Runs work at Acme's.\"\"\"
    Options = AcmeOptions
"""

COMMAND = """
import click

@click.command()
@click.argument("word")
def shout(word):
    \"\"\"Say it loudly.\"\"\"
    click.echo(word.upper())
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory to work in, and beside it one with plugins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    set_default_session(None)
    yield tmp_path
    set_default_session(None)


@pytest.fixture
def plugins(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path of this process, and of those that it starts."""
    directory = tmp_path_factory.mktemp("plugins")
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.setenv("PYTHONPATH", f"{directory}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield directory
    for name in [name for name in sys.modules if name.endswith("_of_tests")]:
        del sys.modules[name]


@pytest.fixture
def acme(plugins: Path) -> Path:
    install(plugins, "anyjob-acme", "[anyjob.backends]\nacme = acme_of_tests:Acme\n", acme_of_tests=ACME)
    return plugins


def told(*arguments: str) -> Any:
    done = invoke(*arguments, "--json")
    assert done.stderr == ""
    return json.loads(done.stdout)


# --- the group ------------------------------------------------------------------------------------


def test_version() -> None:
    done = anyjob("--version")
    assert (done.returncode, done.stdout.decode()) == (0, f"anyjob {__version__}\n")
    assert invoke("--version").stdout == invoke("--debug", "--version").stdout == f"anyjob {__version__}\n"


def test_a_version_that_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as nobody:
        done = subprocess.run([*PROGRAM, "--version"], stdout=nobody, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--version"], {"click", "anyjob.cli.app", "anyjob.errors", "gc"}),
        (["--help"], {"rich", "msgspec", "anyjob.session.facade", "asyncio"}),
        (["backends", "list"], {"rich", "msgspec", "anyjob.taskbackend", "asyncio"}),
        (
            ["jobs"],
            {
                "rich", "asyncio", "msgspec", "pickle", "json", "logging", "hashlib", "shutil", "subprocess",
                "anyjob.specs", "anyjob.session.services", "anyjob.ledger.file.salvage",
                "anyjob.registry.lookup", "anyjob.registry.discovery", "anyjob.registry.entry_points",
                "anyjob.text.units", "anyjob.text.suggestions", "click.shell_completion",
                "anyjob.ledger.dependencies", "anyjob.ledger.retries", "anyjob.ledger.once",
                "anyjob.ledger.reading.attempt_reader", "anyjob.ledger.reading.dependency_reader",
                "anyjob.ledger.reading.graph_reader", "anyjob.ledger.reading.queue_reader",
            },
        ),
        (
            ["run", "--", "true"],
            {
                "rich", "asyncio", "json", "logging", "hashlib", "shutil", "tempfile", "subprocess",
                "concurrent", "platformdirs", "anyjob.cli.run.sweeps.sweep", "anyjob.config.options",
                "anyjob.jobfile.reader", "anyjob.builtin.local.supervisor", "anyjob.ledger.file.salvage",
                "anyjob.serialization.unpicklable", "anyjob.ledger.dependencies", "anyjob.ledger.retries",
                "anyjob.ledger.once", "anyjob.ledger.releasing.releases", "anyjob.ledger.controls",
                "anyjob.ledger.reading.attempt_reader", "anyjob.ledger.reading.dependency_reader",
                "anyjob.ledger.reading.graph_reader", "anyjob.ledger.reading.queue_reader",
                "anyjob.session.jobs.actions", "anyjob.execution.interpreter", "anyjob.execution.spawning",
                "anyjob.tracking.lost_jobs", "anyjob.runtime.job_control", "anyjob.views",
            },
        ),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)  # fmt: skip
def test_nothing_is_loaded_that_is_not_used(arguments: list[str], unwanted: set[str]) -> None:
    program = (
        "import sys\nfrom anyjob.cli import main\ntry:\n    main()\nfinally:\n"
        "    print('LOADED', *sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *arguments]
    for _ in range(2):  # the first one may have to start daemons, or make a ledger
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stderr.partition("LOADED")[2].split())
    assert "anyjob.cli" in loaded
    assert loaded & unwanted == set()


@pytest.mark.parametrize("command", ["run", "backends", "plugins", "config", "completion"])
def test_every_command_has_help(command: str) -> None:
    listed = invoke("--help").stdout
    assert f"\n  {command} " in listed
    done = invoke(command, "--help")
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "backends list",
        "backends show",
        "backends check",
        "plugins list",
        "plugins check",
        "config show",
        "config path",
        "config check",
        "completion",
    ],
)
def test_every_help_has_examples(command: str) -> None:
    assert f"anyjob {command}" in invoke(*command.split(), "--help").stdout.partition("Examples:")[2]


def test_what_is_reported_is_told_as_anyjob_s() -> None:
    Path("anyjob.toml").write_text("extra = 1\n")
    done = anyjob("run", "-b", "inline", "--", "true")
    assert (done.returncode, done.stdout) == (0, b"")
    place = Path("anyjob.toml").absolute()
    assert done.stderr.decode().startswith(f"anyjob: warning: {place}:1: extra: unknown key")


def test_commands_of_plugins_are_loaded_when_named_only(plugins: Path) -> None:
    """llm#1280, conda#12460: one bad plugin killed everything."""
    install(plugins, "shouter", "[anyjob.commands]\nshout = shout_of_tests:shout\n", shout_of_tests=COMMAND)
    install(plugins, "bad", "[anyjob.commands]\nbad = bad_of_tests:command\n", bad_of_tests="1 / 0\n")
    install(plugins, "hooks", "[anyjob.plugins]\nh = hooks_of_tests\n", hooks_of_tests="1 / 0\n")
    listed = invoke("--help")
    assert listed.exit_code == 0
    assert "shout  from shouter 1.0" in listed.stdout
    assert "bad    from bad 1.0" in listed.stdout
    assert not [name for name in sys.modules if name.endswith("_of_tests")]
    done = invoke("shout", "hello")
    assert (done.exit_code, done.stdout) == (0, "HELLO\n")
    done = invoke("bad")
    assert done.exit_code == 125
    assert "bad 1.0 cannot be loaded: ZeroDivisionError: division by zero" in done.stderr


def test_a_command_of_a_plugin_that_is_not_there_or_blocked_says_so(
    plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(plugins, "shouter", "[anyjob.commands]\nshout = shout_of_tests:shout\n", shout_of_tests=COMMAND)
    monkeypatch.setenv("ANYJOB_DISABLE_PLUGINS", "shouter")
    done = invoke("dashboard", "--port", "1")
    assert done.exit_code == 125
    assert "no command is called 'dashboard'; it comes with: pip install anyjob-dashboard" in done.stderr
    done = invoke("shout", "hello")
    assert done.exit_code == 125
    assert "ANYJOB_DISABLE_PLUGINS" in done.stderr


def test_usage_errors_of_a_plugin_s_command_are_told_as_ours(plugins: Path) -> None:
    install(plugins, "shouter", "[anyjob.commands]\nshout = shout_of_tests:shout\n", shout_of_tests=COMMAND)
    done = invoke("shout")
    assert done.exit_code == 125
    assert done.stderr.startswith("anyjob: error: Missing argument 'WORD'")


# --- backends -------------------------------------------------------------------------------------


def test_backends_are_listed_without_importing_them(acme: Path, place: Path) -> None:
    (place / "anyjob.toml").write_text(CONFIG)
    lines = {line["name"]: line for line in told("backends", "list")}
    assert list(lines)[:2] == ["hpc", "cloud"]
    assert lines["cloud"] == {
        "name": "cloud",
        "type": "acme",
        "configured": True,
        "distribution": "anyjob-acme",
        "version": "1.0",
        "origin": f"{place / 'anyjob.toml'}:9",
        "default": False,
    }
    assert lines["hpc"]["default"] is True
    assert (lines["acme"]["origin"], lines["acme"]["configured"]) == ("installed", False)
    assert "acme_of_tests" not in sys.modules
    table = invoke("backends", "list").stdout
    assert table.splitlines()[0].split() == ["name", "type", "distribution", "from", "default"]
    assert table.splitlines()[1].endswith("*")


def test_a_backend_is_shown_without_its_secrets(acme: Path, place: Path) -> None:
    (place / "anyjob.toml").write_text(CONFIG)
    shown = told("backends", "show", "cloud")
    assert (shown["type"], shown["distribution"]) == ("acme", "anyjob-acme 1.0")
    assert shown["doc"] == "Runs work at Acme's."
    assert shown["accepts"] == ["command", "python"]
    assert shown["capabilities"]["logs"] is True
    phrase, region, slots = shown["options"]
    assert (phrase["value"], phrase["doc"], phrase["required"]) == ("***", "lets you in.", True)
    assert region["origin"] == f"{place / 'anyjob.toml'}:11"
    assert (slots["set"], slots["default"], slots["origin"]) == (False, 1, None)
    for arguments in (["backends", "show", "cloud"], ["config", "show"], ["config", "show", "--json"]):
        assert "s3cret" not in invoke(*arguments).output


def test_a_backend_that_is_not_there_is_not_shown() -> None:
    done = invoke("backends", "show", "proceses")
    assert done.exit_code == 125
    assert "did you mean 'processes'" in done.stderr


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
def test_backends_are_checked_by_jobs(name: str) -> None:
    checked = told("backends", "check", name)
    assert checked["ok"] is True
    assert [(each["check"], each["state"]) for each in checked["checks"]] == [
        ("configuration", "ok"),
        ("command", "ok"),
        ("python", "ok"),
    ]


def test_a_check_that_fails_says_why(acme: Path, place: Path) -> None:
    done = invoke("backends", "check", "acme")
    assert done.exit_code == 1
    assert "configuration: failed: " in done.stdout
    assert "phrase: is missing" in done.stdout


SLOW = ACME.replace(
    "class Acme(ThreadsBackend):", "class Acme(ThreadsBackend):\n    def _run_job(self, job): pass"
)


def test_a_check_of_a_backend_that_runs_nothing_ends(plugins: Path, place: Path) -> None:
    install(plugins, "slow", "[anyjob.backends]\nslow = slow_of_tests:Acme\n", slow_of_tests=SLOW)
    (place / "anyjob.toml").write_text("[backends.slow]\ntype = 'slow'\nphrase = 'x'\n")
    done = invoke("backends", "check", "slow", "--timeout", "0.1s")
    assert done.exit_code == 1
    assert "command: failed: still QUEUED after 0.1 s; it was cancelled" in done.stdout
    assert "python: skipped: the job before it has not ended in time" in done.stdout


# --- plugins --------------------------------------------------------------------------------------


@pytest.fixture
def bad_ones(plugins: Path) -> Path:
    for name, text in {
        "raises": "raise RuntimeError('not today')",
        "leaves": "import sys; sys.exit(3)",
        "dies": "import os; os._exit(7)",
        "lacks": "import a_module_that_nobody_has",
        "hangs": "import threading; threading.Event().wait()",
        "misnames": "Backend = 3",
        "chatters": "print('hello'); from anyjob.builtin.inline import InlineBackend as Backend",
    }.items():
        entry = f"[anyjob.backends]\n{name}-b = {name}_of_tests:Backend\n"
        install(plugins, name, entry, **{f"{name}_of_tests": text})
    install(plugins, "hooks", "[anyjob.plugins]\nh = hooks_of_tests\n",
            hooks_of_tests="def anyjob_before_submitt(job): pass\n")  # fmt: skip
    install(plugins, "stuck", "[anyjob.plugins]\ns = stuck_of_tests\n",
            stuck_of_tests="import threading; threading.Event().wait()")  # fmt: skip
    return plugins


def test_plugins_are_checked_each_in_a_process_of_its_own(bad_ones: Path) -> None:
    """llm#1280, conda#12460, dbt-core#2006: isolated, and listed with its cause."""
    done = invoke("plugins", "check", "--json", "--timeout", "3s")
    assert done.exit_code == 1
    found = {line["distribution"]: line for line in json.loads(done.stdout)}
    # Our own plugins may be installed beside.
    states = {name: line["state"] for name, line in found.items() if not name.startswith("anyjob-")}
    assert states == {
        "anyjob": "ok",
        "raises": "broken",
        "leaves": "broken",
        "dies": "broken",
        "lacks": "broken",
        "hangs": "hangs",
        "misnames": "broken",
        "chatters": "ok",
        "hooks": "broken",
        "stuck": "hangs",
    }
    assert "RuntimeError: not today" in found["raises"]["why"]
    assert "sys.exit(3)" in found["leaves"]["why"]
    assert "exit code 7" in found["dies"]["why"]
    assert "'a_module_that_nobody_has', which is not installed" in found["lacks"]["why"]
    assert "within 3 s" in found["hangs"]["why"]
    assert "not a subclass" in found["misnames"]["why"]
    assert "anyjob_before_submit" in found["hooks"]["why"]
    assert found["chatters"]["seconds"] > 0
    assert not [name for name in sys.modules if name.endswith("_of_tests")]


def test_one_plugin_is_checked(bad_ones: Path) -> None:
    assert invoke("plugins", "check", "chatters").exit_code == 0
    done = invoke("plugins", "check", "raises-b")
    assert done.exit_code == 1
    assert "raises" in done.stdout
    assert "chatters" not in done.stdout
    done = invoke("plugins", "check", "nobody")
    assert done.exit_code == 125
    assert "nobody" in done.stderr


def test_plugins_are_listed_with_where_they_are(acme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """two plugins, one name: adlfs#302, aiida-core#696, ibmq-provider#43."""
    install(acme, "other-acme", "[anyjob.backends]\nacme = nowhere:Acme\n")
    lines = {line["distribution"]: line for line in told("plugins", "list")}
    assert lines["anyjob-acme"]["location"] == str(acme / "anyjob_acme-1.0.dist-info")
    assert lines["anyjob-acme"]["state"] == lines["other-acme"]["state"] == "ambiguous"
    assert "'anyjob-acme:acme' or 'other-acme:acme'" in lines["anyjob-acme"]["why"]
    table = invoke("plugins", "list").stdout
    assert "other-acme anyjob.backends acme: ambiguous: " in table
    assert "acme_of_tests" not in sys.modules


REGISTERS = """
from anyjob.builtin.threads import ThreadsBackend
def anyjob_register(registry):
    registry.register_backend("acme.device", ThreadsBackend)
"""
MANY = "".join(f"acme.name-{number} = nowhere:Backend\n" for number in range(2000))


def test_names_that_hook_plugins_register_are_listed_without_importing_these_here(plugins: Path) -> None:
    install(plugins, "names", "[anyjob.plugins]\nn = names_of_tests\n", names_of_tests=REGISTERS)
    install(plugins, "bad", "[anyjob.plugins]\nb = bad_of_tests\n", bad_of_tests="1 / 0\n")
    install(plugins, "many", f"[anyjob.backends]\n{MANY}")
    lines = {line["name"]: line for line in told("plugins", "list")}
    assert (lines["acme.device"]["distribution"], lines["acme.device"]["state"]) == ("names", "ok")
    assert lines["b"]["state"] == "broken"
    assert "ZeroDivisionError" in lines["b"]["why"]
    done = invoke("backends", "list", "--json")
    backends = {line["name"]: line for line in json.loads(done.stdout)}
    assert backends["acme.device"]["distribution"] == "names"
    assert "acme.name-1999" in backends
    assert "b = bad_of_tests of bad 1.0 cannot be loaded: ZeroDivisionError" in done.stderr
    assert not [name for name in sys.modules if name.endswith("_of_tests")]


@pytest.mark.parametrize("group", ["plugins", "backends"])
def test_a_hook_plugin_that_hangs_does_not_hang_a_listing(acme: Path, group: str) -> None:
    """llm#1280, conda#12460: one bad plugin killed everything."""
    install(acme, "stuck", "[anyjob.plugins]\ns = stuck_of_tests\n",
            stuck_of_tests="import threading; threading.Event().wait()")  # fmt: skip
    done = invoke(group, "list", "--json", "--timeout", "0.2s")
    assert done.exit_code == 0
    names = [line["name"] for line in json.loads(done.stdout)]
    assert {"acme", "inline"} <= set(names)
    assert ("s" in names) == (group == "plugins")
    assert "left out, since its import has not ended within 0.2 s: see anyjob plugins check" in done.stderr


@pytest.mark.parametrize("line", ["anyjob run -b ac", "anyjob run --type co"])
def test_completion_imports_no_plugin(acme: Path, line: str) -> None:
    install(acme, "stuck", "[anyjob.plugins]\ns = stuck_of_tests\n",
            stuck_of_tests="import threading; threading.Event().wait()")  # fmt: skip
    words = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = anyjob(env={**os.environ, "_ANYJOB_COMPLETE": "bash_complete", **words})
    assert done.stdout.decode().split() == ["plain,acme" if line.endswith("ac") else "plain,command"]


def test_switched_off_plugins_are_listed_as_such(acme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_DISABLE_PLUGINS", "anyjob-acme")
    lines = {line["distribution"]: line for line in told("plugins", "list")}
    assert lines["anyjob-acme"]["state"] == "blocked"
    assert invoke("plugins", "check").exit_code == 0


# --- config ---------------------------------------------------------------------------------------


def test_values_are_shown_with_where_they_come_from(
    acme: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "anyjob.toml").write_text(CONFIG)
    monkeypatch.setenv("ANYJOB_BACKENDS__HPC__SLOTS", "7")
    lines = {line["key"]: (line["value"], line["origin"]) for line in told("config", "show")}
    file = str(place / "anyjob.toml")
    assert lines["default_backend"] == ("hpc", f"{file}:2")
    assert lines["backends.hpc.slots"] == ("7", "environment variable ANYJOB_BACKENDS__HPC__SLOTS")
    assert lines["backends.cloud.phrase"] == ("***", f"{file}:10")
    assert lines["backends.cloud.region"] == ("here", f"{file}:11")


def test_of_a_type_that_is_not_there_all_text_is_hidden(place: Path) -> None:
    (place / "anyjob.toml").write_text("[backends.x]\ntype = 'nowhere'\nodd = 'hush'\nslots = 2\n")
    lines = {line["key"]: line["value"] for line in told("config", "show")}
    assert (lines["backends.x.odd"], lines["backends.x.slots"]) == ("***", 2)


def test_paths_tell_what_was_looked_for(place: Path) -> None:
    (place / "anyjob.toml").write_text(CONFIG)
    lines = {line["layer"]: line for line in told("config", "path")}
    assert lines["project"]["file"] == str(place / "anyjob.toml")
    assert [lines[name]["found"] for name in ("system", "user", "project")] == [False, False, True]


def test_check_finds_all_that_is_wrong(acme: Path, place: Path) -> None:
    (place / "anyjob.toml").write_text(
        'default_backend = "hpcc"\nextra = 1\n[backends.hpc]\ntype = "processes"\nslot = 2\n'
        '[backends.cloud]\ntype = "acme"\nslots = "many"\n[backends.none]\n[backends.far]\ntype = "slurm"\n'
        '[backends.sub]\ntype = "ibm/fez"\nshots = 1\n[providers.ibm]\ntype = "qiskit"\n'
    )
    done = invoke("config", "check")
    assert done.exit_code == 1
    for said in (
        ":2: extra: unknown key",
        ":5: backends.hpc.slot: unknown option; did you mean 'slots'?",
        ":7: backends.cloud.phrase: is missing; expected secret",
        ":8: backends.cloud.slots: expected integer, got string",
        "backends.none: has no type",
        "'slurm' comes with: pip install anyjob-slurm",
        "'qiskit' comes with: pip install anyjob-qiskit",
        ":1: default_backend: no backend is called 'hpcc'; did you mean 'hpc'?",
    ):
        assert said in done.stderr
    assert told_problems() == done.stderr.replace("anyjob: error: ", "").splitlines()


def told_problems() -> list[str]:
    checked = told("config", "check")
    assert checked["ok"] is False
    problems: list[str] = checked["problems"]
    return problems


def test_check_of_what_is_right(acme: Path, place: Path) -> None:
    (place / "anyjob.toml").write_text(CONFIG)
    done = invoke("config", "check")
    assert (done.exit_code, done.stdout) == (0, "no problems in 2 configured entries\n")


@pytest.mark.parametrize(("arguments", "code"), [(["config", "check"], 1), (["run", "--", "true"], 125)])
def test_malformed_toml_is_told_with_its_place(arguments: list[str], code: int, place: Path) -> None:
    (place / "anyjob.toml").write_text("[backends.x]\ntype = oops\n")
    done = invoke(*arguments)
    assert done.exit_code == code
    assert f"anyjob: error: {place / 'anyjob.toml'}:2:8: not valid TOML" in done.stderr


# --- completion -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = invoke("completion", shell)
    assert done.exit_code == 0
    assert f"_ANYJOB_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("line", "completed"),
    [("anyjob back", "backends"), ("anyjob run -b hp", "hpc"), ("anyjob run --type pyt", "python"),
     ("anyjob backends show clo", "cloud")],
)  # fmt: skip
def test_names_are_completed(line: str, completed: str, place: Path) -> None:
    (place / "anyjob.toml").write_text(CONFIG)
    words = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = anyjob(env={**os.environ, "_ANYJOB_COMPLETE": "bash_complete", **words})
    assert done.stdout.decode().split() == [f"plain,{completed}"]
    (place / "anyjob.toml").write_text("broken = ")
    done = anyjob(env={**os.environ, "_ANYJOB_COMPLETE": "bash_complete", **words})
    assert done.stderr == b""


def test_the_registry_is_made_once() -> None:
    assert registry() is registry()


def test_what_is_wrong_has_the_line_of_its_own_key(local_cli: Path, tmp_path: Path) -> None:
    (tmp_path / "anyjob.toml").write_text(
        '[backends.x]\ntype = "local"\nslots = 2\nresources = { license = 1, gpus = 1 }\n'
        '[backends.y]\ntype = "local"\n\nresources.cpus = 2\n'
        '[backends.z]\ntype = "local"\npreload = [\n  "a",\n  4,\n]\n'
        '[backends.w]\ntype = "local"\n\nretries = { timez = 1 }\n'
    )
    done = invoke("config", "check")
    told = [line.rpartition("/")[2] for line in done.stderr.splitlines()]
    assert [each.partition(": ")[0] for each in told] == [
        "anyjob.toml:4",
        "anyjob.toml:8",
        "anyjob.toml:13",
        "anyjob.toml:18",
    ]
    assert "backends.x.resources.gpus: that is told by itself" in told[0]
    assert "backends.z.preload[1]: expected string" in told[2]

"""``anyjob new-plugin``: what it writes is a whole plugin, which keeps its promises as it is."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from run_page import blocks
from support.cli_program import install, invoke
from support.distributions import python
from test_examples_and_docs import ROOT, make_environment

from anyjob.cli.context import registry
from anyjob.errors import SpecError, StateError
from anyjob.scaffold.names import Names
from anyjob.scaffold.render import render, select_lines
from anyjob.scaffold.writing import write

ACME = {
    "rest": Names(distribution="anyjob-acme", backend="acme", kind="acme.report"),
    "scheduler": Names(distribution="anyjob-acme", backend="acme", flavour="scheduler"),
    "provider": Names(distribution="anyjob-acme", backend="acme", flavour="provider"),
    "legacy": Names(distribution="anyjob-acme", backend="acme", flavour="legacy"),
    "kind": Names(distribution="anyjob-acme", kind="acme.report"),
}
"""A plugin of each flavour, and one that brings a kind of work only."""
LIMIT = 600
"""Seconds that a program may take: all of the kit, among others, is run by one."""
pytestmark = pytest.mark.timeout(LIMIT + 30)

# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"distribution": "anyjob acme", "backend": "acme"}, "for instance 'anyjob-acme'"),
        ({"distribution": "-acme", "backend": "acme"}, "letters, digits"),
        ({"distribution": "a" * 31, "backend": "acme"}, "30 at most"),
        ({"distribution": "3d", "backend": "acme"}, "try 'anyjob-3d'"),
        ({"distribution": "import", "backend": "acme"}, "try 'anyjob-import'"),
        ({"distribution": "anyjob", "backend": "acme"}, "somebody else's"),
        ({"distribution": "json", "backend": "acme"}, "somebody else's"),
        ({"distribution": "anyjob-acme"}, "give --backend NAME, --job-type PREFIX.NAME, or both"),
        ({"distribution": "anyjob-acme", "flavour": "rest", "kind": "acme.sql"}, "give --backend NAME, too"),
        ({"distribution": "anyjob-acme", "backend": "My Cluster"}, "for instance 'my-cluster'"),
        ({"distribution": "anyjob-acme", "backend": "Δ"}, "small letters and digits"),
        ({"distribution": "anyjob-acme", "backend": "acme/eu"}, "for instance 'acme-eu'"),
        ({"distribution": "anyjob-acme", "backend": "task"}, "a class TaskBackend, and anyjob has one"),
        ({"distribution": "anyjob-acme", "kind": "report"}, "could be 'acme.report'"),
        ({"distribution": "anyjob-acme", "kind": "acme.a.b"}, "PREFIX.NAME"),
        ({"distribution": "anyjob-acme", "kind": "acme.Report"}, "small letters"),
        ({"distribution": "anyjob-acme", "kind": "task.job"}, "a class TaskJob, and anyjob has one"),
    ],
)
def test_names_that_cannot_be_names_are_refused_with_a_way_out(given: dict[str, str], told: str) -> None:
    with pytest.raises(SpecError, match=re.escape(told)):
        Names(**given)


def test_names_are_made_of_names() -> None:
    names = Names(distribution="Anyjob.My-Cluster", backend="my-cluster_2", kind="mine.big-report")
    assert names.package == "anyjob_my_cluster"
    assert names.prefix == "MyCluster2"
    assert names.kind_class == "MineBigReport"


# --- files -------------------------------------------------------------------------------------


def test_lines_are_for_some_plugins() -> None:
    text = "1\n[[if a b]]\n2\n[[else]]\n3\n[[end]]\n4\n"
    assert select_lines(text, frozenset("b")) == "1\n2\n4\n"
    assert select_lines(text, frozenset("c")) == "1\n3\n4\n"


@pytest.mark.parametrize("flavour", ACME)
def test_no_mark_and_no_name_of_the_templates_is_left(flavour: str) -> None:
    names = ACME[flavour]
    other = Names(
        distribution="tools-of-zebra",
        backend=names.backend and "zebra",
        flavour=names.flavour,
        kind=names.kind and "zebra.stripes",
    )
    for path, text in render(other).items():
        assert "[[if" not in text
        assert "[[end" not in text
        assert "acme" not in f"{path}\n{text}".lower()


def test_all_or_nothing_is_written(tmp_path: Path) -> None:
    target = tmp_path / "new" / "plugin"
    with pytest.raises(StateError, match="cannot be written"):
        write(target, {"a": "1", "a/b": "2"})
    assert list(tmp_path.rglob("*")) == [target.parent]


def test_an_empty_directory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugin").mkdir()
    monkeypatch.chdir(tmp_path / "plugin")
    write(Path("."), {"src/a.py": "1", ".gitignore": "2"})
    assert Path("src/a.py").read_text() == "1"
    assert Path(".gitignore").read_text() == "2"
    assert [each.name for each in tmp_path.iterdir()] == ["plugin"]


def test_what_is_written_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    write(tmp_path / "plugin", {"a": "1"})
    assert (tmp_path / "plugin").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("there", ["a file", "a directory with something in it", "a dangling link"])
def test_what_is_there_stays(there: str, tmp_path: Path) -> None:
    target = tmp_path / "plugin"
    if there == "a file":
        target.write_text("mine")
    elif there == "a dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.mkdir()
        (target / "mine").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StateError, match="name another by --directory"):
        write(target, {"a": "1"})
    assert sorted(tmp_path.rglob("*")) == before


def test_what_the_documentation_shows_of_a_plugin_is_there() -> None:
    page = (ROOT / "docs" / "how-to" / "publish-a-plugin.md").read_text(encoding="utf-8")
    (shown,) = [block.text for block in blocks(page) if block.language == "toml"]
    made = tomllib.loads(render(ACME["rest"])["pyproject.toml"])["project"]
    excerpt = tomllib.loads(shown)["project"]
    assert excerpt["optional-dependencies"].items() <= made.pop("optional-dependencies").items()
    assert {name: made.get(name) for name in excerpt if name in made} == {
        name: excerpt[name] for name in excerpt if name != "optional-dependencies"
    }


def test_a_scheduler_begins_with_a_short_dialect_that_starts_nothing() -> None:
    files = render(ACME["scheduler"])
    dialect = files["src/anyjob_acme/dialect.py"]
    assert dialect.count("\n") < 100
    assert not re.search(r"^(?:import|from) (?:os|subprocess|time|pathlib)\b", dialect, re.MULTILINE)
    assert "class AcmeBackend(BatchBackend)" in files["src/anyjob_acme/backend.py"]


def test_the_page_on_dialects_names_the_files_that_are_written() -> None:
    page = (ROOT / "docs" / "how-to" / "write-a-dialect.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `((?:src|tests)/\S+)` \|", page, re.MULTILINE)
    assert named
    assert set(named) <= render(ACME["scheduler"]).keys()


# --- the command -------------------------------------------------------------------------------


def test_the_command_writes_and_says_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("new-plugin", "anyjob-acme", "--backend", "acme", "--flavour", "legacy")
    assert done.exit_code == 0, done.stderr
    assert "cd anyjob-acme\n" in done.stdout
    assert (tmp_path / "anyjob-acme/src/anyjob_acme/provider.py").exists()
    again = invoke("new-plugin", "anyjob-acme", "--backend", "acme")
    assert again.exit_code == 125
    assert "has something in it" in again.stderr
    elsewhere = invoke("new-plugin", "anyjob-acme", "--backend", "acme", "--directory", "other/place")
    assert elsewhere.exit_code == 0, elsewhere.stderr
    assert (tmp_path / "other/place/pyproject.toml").exists()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where distributions can be laid out, to be found as installed."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    registry().refresh()
    yield tmp_path / "site"
    monkeypatch.undo()
    registry().refresh()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--backend", "local"], "a backend called 'local' is installed, by anyjob 0.1.0"),
        (["--backend", "zebra"], "a backend called 'zebra' is installed, by anyjob-zebra 1.0"),
        (["--job-type", "zebra.stripes"], "a kind of work called 'zebra.stripes' is installed"),
        (["--backend", "zoo", "--flavour", "legacy"], "a provider called 'zoo' is installed"),
        (["--backend", "zoo", "--flavour", "provider"], "a provider called 'zoo' is installed"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    arguments: list[str], told: str, installed: Path, tmp_path: Path
) -> None:
    entry_points = (
        "[anyjob.api]\nv1 = zebra\n[anyjob.backends]\nzebra = zebra:B\n"
        "[anyjob.job_types]\nzebra.stripes = zebra:J\n[anyjob.providers]\nzoo = zebra:P\n"
    )
    install(installed, "anyjob-zebra", entry_points)
    registry().refresh()
    done = invoke("new-plugin", "anyjob-acme", *arguments, "--directory", str(tmp_path / "new"))
    assert done.exit_code == 125
    assert told in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_package_that_is_there_already_is_not_hidden_by_a_new_one(tmp_path: Path) -> None:
    """Above all not the engine's own library, whose name is the first that comes to mind."""
    done = invoke("new-plugin", "click", "--backend", "clicks", "--directory", str(tmp_path / "new"))
    assert done.exit_code == 125
    assert "'click' would be imported as 'click', as is something else that is installed" in done.stderr
    assert "try 'anyjob-click'" in done.stderr
    assert not (tmp_path / "new").exists()


def test_the_plugin_itself_may_be_installed_already(installed: Path, tmp_path: Path) -> None:
    install(installed, "anyjob-acme", "[anyjob.api]\nv1 = a\n[anyjob.backends]\nacme = a:B\n")
    registry().refresh()
    done = invoke("new-plugin", "anyjob-acme", "--backend", "acme", "--directory", str(tmp_path / "new"))
    assert done.exit_code == 0, done.stderr


# --- what it writes ----------------------------------------------------------------------------


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a program that must succeed; return what it writes."""
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of anyjob, so that it need not find out for each of the plugins."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("flavour", ACME)
def test_types_are_strict(flavour: str, tmp_path: Path, mypy_cache: Path) -> None:
    write(tmp_path / "plugin", render(ACME[flavour]))
    run(sys.executable, "-m", "mypy", "--cache-dir", mypy_cache, cwd=tmp_path / "plugin")


@pytest.mark.parametrize("flavour", ACME)
@pytest.mark.parametrize("length", [1, 4, 30])
def test_the_source_is_formatted_however_long_the_names_are(
    length: int, flavour: str, tmp_path: Path
) -> None:
    names = ACME[flavour]
    write(
        tmp_path / "plugin",
        render(
            Names(
                distribution="z" * length,
                backend=names.backend and "y" * length,
                flavour=names.flavour,
                kind=names.kind and "x" * max(1, length // 2) + "." + "w" * max(1, length // 2 - 1),
            )
        ),
    )
    run(sys.executable, "-m", "ruff", "check", "--no-cache", cwd=tmp_path / "plugin")
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", cwd=tmp_path / "plugin")


def module(path: Path) -> Any:
    """Import a file, which may import those beside it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(made)
    finally:
        sys.path.remove(str(path.parent))
    return made


@contextmanager
def rest(plugin: Path, scratch: Path) -> Iterator[dict[str, str]]:
    """Have the service of the tests be the one that the README configures."""
    fake = module(plugin / "tests" / "fake_service.py")
    with closing(fake.FakeService()) as service:
        yield {
            "ACME_TOKEN": fake.TOKEN,
            "ANYJOB_BACKENDS__MINE__URL": service.url,
            "no_proxy": "127.0.0.1",
        }


@contextmanager
def scheduler(plugin: Path, scratch: Path) -> Iterator[dict[str, str]]:
    """Have the scheduler of the tests be the one that the README configures."""
    fake = module(plugin / "tests" / "fake_scheduler.py")
    with closing(fake.FakeScheduler(scratch / "scheduler")) as engine:
        yield {"ANYJOB_BACKENDS__MINE__PROGRAMS": str(engine.programs)}


@contextmanager
def none(plugin: Path, scratch: Path) -> Iterator[dict[str, str]]:
    """It needs no engine."""
    yield {}


@contextmanager
def provider(plugin: Path, scratch: Path) -> Iterator[dict[str, str]]:
    """Have the service of the tests be the one at which the README has an account."""
    with rest(plugin, scratch) as variables:
        url = variables.pop("ANYJOB_BACKENDS__MINE__URL")
        yield {**variables, "ANYJOB_PROVIDERS__LAB__URL": url}


ENGINES: dict[str, Callable[[Path, Path], Any]] = {
    "rest": rest,
    "provider": provider,
    "scheduler": scheduler,
    "legacy": none,
    "kind": none,
}


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    """The programs of a virtual environment."""
    return make_environment(tmp_path / "venv")


@pytest.fixture
def surroundings(binaries: Path, tmp_path: Path) -> dict[str, str]:
    """Variables for programs of that, as of a new user; nothing is fetched."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("LC_", "LANG", "XDG_R"))}
    (tmp_path / "home").mkdir()
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "false",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # A plugin of pytest's that is installed here, and that the new plugin does not ask for.
        "PYTEST_ADDOPTS": "-p no:asyncio -p no:cacheprovider",
    }


@pytest.mark.parametrize("flavour", ACME)
def test_the_readme_does_what_it_says_and_the_tests_pass(
    flavour: str, binaries: Path, surroundings: dict[str, str], tmp_path: Path
) -> None:
    plugin = tmp_path / "plugin"
    write(plugin, render(ACME[flavour]))
    with ENGINES[flavour](plugin, tmp_path) as variables:
        run(
            binaries / "python",
            ROOT / "tests" / "run_page.py",
            plugin / "README.md",
            cwd=plugin,
            env={**surroundings, **variables},
        )


def build(project: Path, wheels: Path) -> Path:
    """Build the wheel of a project, with what is installed here."""
    program = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"
    return wheels / run(sys.executable, "-c", program, wheels, cwd=project).split()[-1]


def test_a_name_is_changed_in_one_place(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    write(plugin, render(ACME["scheduler"]))
    project = plugin / "pyproject.toml"
    project.write_text(project.read_text().replace("\nacme = ", "\nzebra = "))
    site = tmp_path / "site"
    wheel = build(plugin, tmp_path)
    python(f"import zipfile; zipfile.ZipFile({str(wheel)!r}).extractall({str(site)!r})")
    told = run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider"),
        *("-k", "listed or gives_its_result or one_array"),
        cwd=plugin,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert "passed" in told


WRITTEN = {
    "rest": '[backends.mine]\ntype = "acme"\n',
    "provider": '[backends.mine]\ntype = "lab/falcon"\n\n[providers.lab]\ntype = "acme"\n',
}
"""What a user writes of each flavour, less the address and the token of the service."""


@pytest.mark.parametrize("flavour", WRITTEN)
def test_the_wheel_is_installed_found_checked_and_used(
    flavour: str, binaries: Path, surroundings: dict[str, str], tmp_path: Path
) -> None:
    """As a new user would: anyjob's own wheel, with its templates, writes the plugin."""
    env = surroundings
    pip: list[str | Path] = [binaries / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    run(*pip, "--ignore-installed", build(ROOT, tmp_path), cwd=tmp_path, env=env)
    anyjob = binaries / "anyjob"
    run(anyjob, "new-plugin", "anyjob-acme", "--backend", "acme", "--flavour", flavour, cwd=tmp_path, env=env)
    run(*pip, build(tmp_path / "anyjob-acme", tmp_path), cwd=tmp_path, env=env)

    work = tmp_path / "work"
    work.mkdir()
    site = tmp_path / "venv" / "lib"
    found = run(anyjob, "plugins", "list", cwd=work, env=env)
    assert re.search(
        rf"^anyjob-acme +0\.1\.0 +(?:backends|providers) +acme +ok +{site}", found, re.MULTILINE
    ), found
    assert re.search(rf"^anyjob +\S+ +backends +local +ok +{site}", found, re.MULTILINE), found
    run(anyjob, "plugins", "check", "anyjob-acme", "--strict", cwd=work, env=env)
    with ENGINES[flavour](tmp_path / "anyjob-acme", tmp_path) as variables:
        service = 'url = "https://acme.example"\ntoken = { env = "ACME_TOKEN" }\n'
        (work / "anyjob.toml").write_text(WRITTEN[flavour] + service)
        used = run(anyjob, "run", "-b", "mine", "--", "echo", "hello", cwd=work, env={**env, **variables})
    assert used == "hello\n"

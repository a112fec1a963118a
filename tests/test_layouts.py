"""Ways to install and to ship programs: in each, anyjob and its plugins are found, and jobs run on `local`.

Each is built by the tool that people use, from wheels of what is installed here, and tried from a directory
that is not on its path. A tool that is missing skips its tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.distributions import backend_module, wheel
from support.repacked_wheels import ROOT, build_wheel, repack

BASE = os.path.realpath(sys.executable)
"""The interpreter that the one of these tests was made of: nothing of ours is installed for it."""
GROUPS = {"anyjob.api": {"v1": "layout_plugin"}, "anyjob.backends": {"layout": "layout_plugin:Backend"}}
TRIAL = """
import sys
import anyjob
import {module} as layout_plugin

from anyjob.jobtypes import PythonJob

assert type(anyjob.get_backend("layout")) is layout_plugin.Backend
job = anyjob.get_backend("local").run(anyjob.Call(layout_plugin.twice, (21,)))
assert job.result(timeout=60) == (42, layout_plugin.VERSION), job.result()
print(job.job_id())
assert "runner.py" in PythonJob.lower(anyjob.Call(abs, (1,)), "command").files  # as for an engine of programs
"""


def plugin(version: str = "1.0") -> str:
    return f"{backend_module()}\n\nVERSION = {version!r}\n\n\ndef twice(x):\n    return 2 * x, VERSION\n"


@dataclass
class Layout:
    """A way to start the command line and a program of Python."""

    anyjob: list[str]
    python: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    module: str = "layout_plugin"
    version: str = "1.0"

    def run(self, command: list[str]) -> str:
        environment = {**os.environ, **self.variables}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=150, env=environment, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def find(name: str) -> str | None:
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def tool(name: str) -> str:
    """A program that is installed beside this interpreter, or elsewhere."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install {name}")
    return found


def call(*command: object, **variables: str) -> None:
    """Run a step of a build."""
    done = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What there is to install: anyjob, a plugin, and what they need."""
    directory = tmp_path_factory.mktemp("wheels")
    build_wheel(ROOT, directory)
    needed = [Requirement(each) for each in requires("anyjob") or ()]
    names = [each.name for each in needed if each.marker is None]
    repack([*names, "editables", "hatchling", "setuptools"], directory)
    wheel(directory, "layout-plugin", groups=GROUPS, modules={"layout_plugin.py": plugin()})
    return directory


def pip(wheels: Path, *arguments: object, python: object = sys.executable) -> None:
    """Have pip install from these wheels, and from nowhere else."""
    offline = ["--quiet", "--disable-pip-version-check", "--no-compile", "--no-index", "--find-links", wheels]
    call(sys.executable, "-m", "pip", "--python", python, "install", *offline, *arguments)


def install(wheels: Path, *arguments: object) -> None:
    """Install where it is not the installer that is tried: by uv, which takes a tenth of pip's time."""
    uv = find("uv")
    if uv is None:
        pip(wheels, *arguments)
        return
    offline = ["--quiet", "--offline", "--no-index", "--find-links", wheels, "--python", BASE]
    call(uv, "pip", "install", *offline, *arguments, UV_CACHE_DIR=str(wheels / "cache"))


def venv(directory: Path, *, python: object = BASE) -> Path:
    """Make a virtual environment without pip; return its interpreter."""
    call(python, "-m", "venv", "--without-pip", directory)
    return directory / "bin" / "python"


def site_packages(python: Path) -> Path:
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def in_target(directory: Path, wheels: Path) -> Layout:
    """`pip install --target`, found by PYTHONPATH."""
    pip(wheels, "--target", directory / "lib", "anyjob", "layout-plugin")
    return Layout([BASE, "-m", "anyjob"], [BASE], {"PYTHONPATH": str(directory / "lib")})


def in_venv_over_venv(directory: Path, wheels: Path) -> Layout:
    """A venv for a team, and one of one's own over it, by a .pth file."""
    below, above = venv(directory / "below"), venv(directory / "above")
    install(wheels, "--target", site_packages(below), "anyjob")
    install(wheels, "--target", site_packages(above), "--no-deps", "layout-plugin")
    (site_packages(above) / "below.pth").write_text(f"{site_packages(below)}\n")
    return Layout([str(above), "-m", "anyjob"], [str(above)])


def in_system_site_packages(directory: Path, wheels: Path) -> Layout:
    """anyjob beside the interpreter, the plugin in a venv that sees what is there."""
    below = conda_prefix(directory / "prefix")
    install(wheels, "--target", site_packages(below), "anyjob")
    call(below, "-m", "venv", "--without-pip", "--system-site-packages", directory / "above")
    above = directory / "above" / "bin" / "python"
    install(wheels, "--target", site_packages(above), "--no-deps", "layout-plugin")
    return Layout([str(above), "-m", "anyjob"], [str(above)])


def conda_prefix(prefix: Path) -> Path:
    """A prefix with an interpreter, a standard library and site-packages of its own, as conda makes them."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = Path(os.__file__).parent
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib" / version / "site-packages").mkdir(parents=True)
    shutil.copy(BASE, prefix / "bin" / version)
    (prefix / "bin" / "python").symlink_to(version)
    for each in library.iterdir():
        if each.name != "site-packages":
            (prefix / "lib" / version / each.name).symlink_to(each)
    return prefix / "bin" / "python"


def in_conda_prefix(directory: Path, wheels: Path) -> Layout:
    """Nothing is activated but by PATH and CONDA_PREFIX, and there is no bin/activate."""
    prefix = directory / "prefix"
    python = conda_prefix(prefix)
    install(wheels, "--target", site_packages(python), "anyjob", "layout-plugin")
    path = f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return Layout(["python", "-m", "anyjob"], ["python"], {"PATH": path, "CONDA_PREFIX": str(prefix)})


def in_two_versions(directory: Path, wheels: Path) -> Layout:
    """Two versions of the plugin on the path: the first counts, as for imports."""
    layout = in_target(directory, wheels)
    newer = wheel(
        directory, "layout-plugin", "2.0", groups=GROUPS, modules={"layout_plugin.py": plugin("2.0")}
    )
    install(wheels, "--target", directory / "newer", "--no-deps", newer)
    path = f"{directory / 'newer'}{os.pathsep}{layout.variables['PYTHONPATH']}"
    return Layout(layout.anyjob, layout.python, {"PYTHONPATH": path}, version="2.0")


def in_zipapp(directory: Path, wheels: Path) -> Layout:
    """`python -m zipapp`: all that is not compiled is in one file."""
    built, compiled = directory / "built", directory / "compiled"
    install(wheels, "--target", built, "anyjob", "layout-plugin")
    install(wheels, "--target", compiled, "--no-deps", "msgspec", "psutil")
    for name in ("msgspec", "psutil"):
        shutil.rmtree(built / name)
    (built / "program.py").write_text(
        "import runpy, sys\n"
        "if sys.argv[1].endswith('.py'):\n"
        "    runpy.run_path(sys.argv[1], run_name='__main__')\n"
        "else:\n"
        "    from anyjob.cli import main\n"
        "    main()\n"
    )
    (built / "__main__.py").write_text("import program\n")
    call(BASE, "-m", "zipapp", built, "-o", directory / "app.pyz")
    program = [BASE, str(directory / "app.pyz")]
    return Layout(program, program, {"PYTHONPATH": str(compiled)})


def in_shiv(directory: Path, wheels: Path) -> Layout:
    """shiv: a zipapp that unpacks itself."""
    app = directory / "app.pyz"
    offline = ["--no-index", "--find-links", wheels]
    call(tool("shiv"), "-q", "-c", "anyjob", "-o", app, "-p", BASE, *offline, "anyjob", "layout-plugin")
    variables = {"SHIV_ROOT": str(directory / "unpacked")}
    return Layout([str(app)], ["env", "SHIV_INTERPRETER=1", str(app)], variables)


def in_pex(directory: Path, wheels: Path) -> Layout:
    """PEX: one file, which unpacks what it holds and has `sys.path` lead there."""
    app, root = directory / "app.pex", str(directory / "root")
    offline = ["--no-pypi", "--find-links", wheels, "--disable-cache", "--python", BASE]
    call(tool("pex"), "anyjob", "layout-plugin", "-c", "anyjob", "-o", app, *offline, PEX_ROOT=root)
    return Layout([str(app)], ["env", "PEX_INTERPRETER=1", str(app)], {"PEX_ROOT": root})


def in_uv_venv(directory: Path, wheels: Path) -> Layout:
    """`uv venv` and `uv pip install`."""
    uv, python = tool("uv"), directory / "venv" / "bin" / "python"
    variables = {"UV_CACHE_DIR": str(directory / "cache"), "UV_OFFLINE": "1"}
    call(uv, "venv", "--python", BASE, directory / "venv", **variables)
    offline = ["--no-index", "--find-links", wheels, "--python", python]
    call(uv, "pip", "install", *offline, "anyjob", "layout-plugin", **variables)
    return Layout([str(python.with_name("anyjob"))], [str(python)])


def in_uv_run_with(directory: Path, wheels: Path) -> Layout:
    """`uv run --with`: what is asked for lies over the environment, in one that uv keeps."""
    uv = tool("uv")
    variables = {"UV_CACHE_DIR": str(directory / "cache"), "UV_OFFLINE": "1"}
    offline = ["--no-project", "--no-index", "--find-links", str(wheels), "--python", BASE]
    run = [uv, "run", "--quiet", *offline, "--with", "anyjob", "--with", "layout-plugin"]
    return Layout([*run, "anyjob"], [*run, "python"], variables)


EXTEND = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


def part(directory: Path, name: str, built_by: str, namespace: str, module: str, entries: str) -> Path:
    """Write a distribution ``lab-NAME`` of a monorepo, with the module ``lab.NAME``."""
    (directory / name / "lab" / name).mkdir(parents=True)
    if namespace:
        (directory / name / "lab" / "__init__.py").write_text(namespace)
    (directory / name / "lab" / name / "__init__.py").write_text(module)
    table = {"hatchling": "tool.hatch.build.targets.wheel", "setuptools": "tool.setuptools"}[built_by]
    backend = {"hatchling": "hatchling.build", "setuptools": "setuptools.build_meta"}[built_by]
    packages = '["lab"]' if built_by == "hatchling" else f'["lab.{name}"]'
    (directory / name / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["{built_by}"]\nbuild-backend = "{backend}"\n'
        f'[project]\nname = "lab-{name}"\nversion = "1.0"\n{entries}\n[{table}]\npackages = {packages}\n'
    )
    return directory / name


def in_monorepo(directory: Path, wheels: Path, built_by: str, namespace: str = "") -> Layout:
    """Two editable distributions that share the package ``lab``: one has the work, the other the backend."""
    python = venv(directory / "venv")
    entries = '[project.entry-points."anyjob.backends"]\nlayout = "lab.site:Backend"\n'
    module = f"from lab.work import VERSION, twice\n{backend_module()}"
    work = "VERSION = '1.0'\n\n\ndef twice(x):\n    return 2 * x, VERSION\n"
    parts = [
        part(directory, "work", built_by, namespace, work, ""),
        part(directory, "site", built_by, namespace, module, entries),
    ]
    install(wheels, "--target", site_packages(python), "anyjob")
    pip(wheels, *(word for each in parts for word in ("-e", each)), python=python)
    return Layout([str(python), "-m", "anyjob"], [str(python)], module="lab.site")


def in_editable_monorepo(directory: Path, wheels: Path) -> Layout:
    """PEP 420: no __init__.py in ``lab``; found by a .pth file with the directories."""
    return in_monorepo(directory, wheels, "hatchling")


def in_editable_pkgutil_monorepo(directory: Path, wheels: Path) -> Layout:
    """``lab/__init__.py`` extends its path."""
    return in_monorepo(directory, wheels, "hatchling", EXTEND)


def in_editable_setuptools_monorepo(directory: Path, wheels: Path) -> Layout:
    """Found by a finder that setuptools puts into ``sys.meta_path`` and ``sys.path_hooks``."""
    return in_monorepo(directory, wheels, "setuptools")


LAYOUTS: list[Callable[[Path, Path], Layout]] = [
    in_target,
    in_venv_over_venv,
    in_system_site_packages,
    in_conda_prefix,
    in_two_versions,
    in_zipapp,
    in_shiv,
    in_pex,
    in_uv_venv,
    in_uv_run_with,
    in_editable_monorepo,
    in_editable_pkgutil_monorepo,
    in_editable_setuptools_monorepo,
]


@pytest.mark.timeout(600)  # it builds, and a machine may be busy
@pytest.mark.parametrize("build", LAYOUTS, ids=lambda build: build.__name__)
def test_plugins_are_found_and_jobs_run(
    build: Callable[[Path, Path], Layout], wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    layout = build(tmp_path, wheels)
    try_out(layout, tmp_path)


@pytest.mark.timeout(600)
def test_an_archive_is_replaced_while_its_processes_live(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    layout = in_zipapp(tmp_path, wheels)
    trial = tmp_path / "trial.py"
    trial.write_text(TRIAL.format(module=layout.module))
    layout.run([*layout.python, str(trial)])
    (tmp_path / "built" / "layout_plugin.py").write_text(plugin("2.0"))
    (tmp_path / "built" / "a_new_module.py").write_text("# what is behind it is elsewhere now\n")
    call(BASE, "-m", "zipapp", tmp_path / "built", "-o", tmp_path / "app.pyz")
    job_id = layout.run([*layout.python, str(trial)]).split()[-1]  # it compares the versions
    assert layout.run([*layout.anyjob, "result", job_id]) == "(42, '2.0')\n"


def try_out(layout: Layout, directory: Path) -> None:
    """List what is installed, run a command and calls, and find one again from another process."""
    listed = json.loads(layout.run([*layout.anyjob, "plugins", "list", "--json"]))
    states = {(each["group"], each["name"]): each["state"] for each in listed if each["state"] != "duplicate"}
    assert states["anyjob.backends", "layout"] == states["anyjob.backends", "local"] == "ok"
    assert layout.run([*layout.anyjob, "run", "-b", "local", "--", "echo", "ran"]) == "ran\n"
    trial = directory / "trial.py"
    trial.write_text(TRIAL.format(module=layout.module))
    job_id = layout.run([*layout.python, str(trial)]).split()[-1]
    assert layout.run([*layout.anyjob, "result", job_id]) == f"(42, '{layout.version}')\n"
    call = ["--type", "python", "--fn", f"{layout.module}:twice", "--args", "4"]
    assert layout.run([*layout.anyjob, "run", "-b", "processes", *call]) == f"(8, '{layout.version}')\n"

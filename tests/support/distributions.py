"""Builds real small distributions, and installs them: offline, and in milliseconds.

`wheel` writes a wheel; `unpack` installs it as an installer would, `pip_install` has pip do it.
`python` runs a program against what is installed in a directory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

Groups = Mapping[str, Mapping[str, str]]

BACKEND = """
from anyjob import BaseBackend


class {name}(BaseBackend):
    def run(self, *args, **kwargs):
        return None
"""


def backend_module(name: str = "Backend") -> str:
    """The source of a module with a plain backend."""
    return BACKEND.format(name=name)


def entry_points_text(groups: Groups) -> str:
    lines = []
    for group, names in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items()), ""]
    return "\n".join(lines)


def metadata_text(name: str, version: str, requires: Sequence[str] = ()) -> str:
    lines = "".join(f"Requires-Dist: {each}\n" for each in requires)
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}\nThe description.\n"


def wheel(
    directory: Path,
    name: str,
    version: str = "1.0",
    *,
    groups: Groups | None = None,
    modules: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
) -> Path:
    """Write the wheel of a distribution.

    Args:
        directory: where to write it to.
        name: of the distribution.
        version: of the distribution.
        groups: its entry points.
        modules: path of a file in the wheel to its text.
        requires: what it requires, as ``Requires-Dist`` has it.
    """
    escaped = name.replace("-", "_").replace(".", "_")
    info = f"{escaped}-{version}.dist-info"
    files = dict(modules or {})
    files[f"{info}/METADATA"] = metadata_text(name, version, requires)
    files[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if groups is not None:
        files[f"{info}/entry_points.txt"] = entry_points_text(groups)
    record = "".join(
        f"{path},sha256={urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text.encode())}\n"
        for path, text in files.items()
    )
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{escaped}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in files.items():
            archive.writestr(each, text)
    return path


def unpack(built: Path, target: Path) -> None:
    """Install a wheel as an installer does, less its checks."""
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(built) as archive:
        archive.extractall(target)


def install(
    target: Path,
    name: str,
    version: str = "1.0",
    *,
    groups: Groups | None = None,
    modules: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
) -> None:
    """Build a distribution and install it into a directory; see `wheel`."""
    built = wheel(target.parent / "wheels", name, version, groups=groups, modules=modules, requires=requires)
    unpack(built, target)


def install_backend(target: Path, name: str, version: str = "1.0", *, distribution: str = "") -> None:
    """Install a distribution ``anyjob-NAME`` that brings one backend NAME, ``anyjob_NAME:Backend``."""
    distribution = distribution or f"anyjob-{name}"
    module = distribution.replace("-", "_")
    install(
        target,
        distribution,
        version,
        groups={"anyjob.api": {"v1": module}, "anyjob.backends": {name: f"{module}:Backend"}},
        modules={f"{module}.py": backend_module()},
    )


def egg_info(directory: Path, name: str, version: str, groups: Groups) -> None:
    """Write the metadata that setuptools leaves beside the sources of an editable install."""
    info = directory / f"{name.replace('-', '_')}.egg-info"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text(metadata_text(name, version))
    (info / "entry_points.txt").write_text(entry_points_text(groups))


def pip_install(target: Path, *what: str) -> None:
    """Have pip install wheels into a directory, offline."""
    _pip("install", "--no-deps", "--no-index", "--target", str(target), *what)


def pip_install_editable(prefix: Path, project: Path) -> Path:
    """Have pip install a project in editable mode below a prefix; return its site-packages."""
    _pip(
        "install",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--prefix",
        str(prefix),
        "-e",
        str(project),
    )
    return next(prefix.glob("lib*/python*/site-packages"))


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def python(program: str, *path: Path, **variables: str) -> str:
    """Run a program in a fresh interpreter, with these directories on its path; return what it prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, path), str(Path(__file__).parents[2] / "src")]),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        cwd=path[0] if path else None,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

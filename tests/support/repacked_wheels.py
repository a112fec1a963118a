"""Wheels to install from without a network: of projects, and of what is installed here."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent.parent


def build_wheel(project: Path, directory: Path) -> None:
    """Build the wheel of a project with the build backend that is installed here."""
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(directory),
        str(project),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def repack(names: Iterable[str], directory: Path) -> None:
    """Write the wheels of distributions that are installed here, and of all that they need."""
    for each in _closure(names):
        _repack_one(each, directory)


def _closure(names: Iterable[str]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = distribution(name)
            needed = [Requirement(text) for text in found[name].requires or ()]
            pending += [
                each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})
            ]
    return list(found.values())


def _repack_one(installed: Distribution, directory: Path) -> None:
    escaped = installed.metadata["Name"].replace("-", "_")
    tags = [line.partition(":")[2].strip() for line in (installed.read_text("WHEEL") or "").splitlines()]
    tag = next(each for each in tags if each.count("-") == 2)
    info = f"{escaped}-{installed.version}.dist-info"
    contents = {
        str(file): Path(str(installed.locate_file(file))).read_bytes()
        for file in installed.files or ()
        if ".." not in file.parts and file.suffix != ".pyc" and file.name not in ("RECORD", "INSTALLER")
    }
    record = ""
    with zipfile.ZipFile(directory / f"{escaped}-{installed.version}-{tag}.whl", "w") as archive:
        for path, content in contents.items():
            head, slash, tail = path.partition("/")
            name = f"{info}/{tail}" if slash and head.endswith(".dist-info") else path
            archive.writestr(name, content)
            digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(content)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")

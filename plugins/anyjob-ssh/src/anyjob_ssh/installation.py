"""What ``anyjob remote install`` does there: a virtual environment, and anyjob in it."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from anyjob import BackendError
from anyjob.sdk import Ending
from anyjob_ssh import command_line, ssh_errors
from anyjob_ssh.options import SshOptions

INTERPRETERS = ("python3.13", "python3.12", "python3.11", "python3")
FIND_PYTHON = (
    "for p in "
    + " ".join(INTERPRETERS)
    + '; do "$p" -c "import sys; sys.exit(sys.version_info[:2] < (3, 11))" 2>/dev/null && '
    '{ command -v "$p"; exit 0; }; done; exit 3'
)
"""Prints the first interpreter there that anyjob runs on."""
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?([=<>~]=?[A-Za-z0-9.*+,<>=~]+)?")
_PROGRAM = re.compile(r"[A-Za-z0-9_./+@ -]+")


class Line(NamedTuple):
    """A step: what it is for, the line of a shell there, and what goes to its stdin."""

    what: str
    shell: str
    stdin: bytes | None = None


def plan(python: str, requirements: Sequence[str], wheels: Path | None) -> list[Line]:
    """Return the steps of an installation.

    Args:
        python: the interpreter there.
        requirements: what is installed, as pip takes it.
        wheels: a directory here whose wheels are carried over, where that machine reaches no index.

    Raises:
        BackendError: there are no wheels, or a requirement is none.
    """
    for each in requirements:
        if not _REQUIREMENT.fullmatch(each):
            raise BackendError(f"{each!r} is no requirement as pip takes it, such as anyjob-slurm==0.1.0")
    if not _PROGRAM.fullmatch(python):
        raise BackendError(
            f"{python!r} is no path of an interpreter that can be named to every shell: give one of letters, "
            "digits and ./_-+, such as a link to it"
        )
    venv = f'"$HOME/{command_line.INSTALLED}"'
    pip = f"{venv}/bin/python -m pip install --quiet --disable-pip-version-check"
    wanted = " ".join(f'"{each}"' for each in requirements)
    lines = [Line("make a virtual environment", f'"{python}" -m venv {venv}')]
    if wheels is None:
        lines.append(Line("install by pip", f"{pip} --upgrade {wanted}"))
    else:
        carried = f"{venv}/wheels"
        unpack = f"rm -rf {carried} && mkdir -p {carried} && tar -x -C {carried} -f -"
        lines.append(Line("carry wheels over", unpack, packed(wheels)))
        lines.append(Line("install them", f"{pip} --upgrade --no-index --find-links {carried} {wanted}"))
    lines.append(Line("ask it for its version", f"{venv}/bin/anyjob --version"))
    return lines


def packed(wheels: Path) -> bytes:
    """Return the wheels of a directory as an archive.

    Raises:
        BackendError: there are none.
    """
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise BackendError(f"there are no wheels in {wheels}: `pip download -d {wheels} anyjob` gets them")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in found:
            archive.add(path, arcname=path.name)
    return stream.getvalue()


def run_there(options: SshOptions, line: Line) -> str:
    """Run a line there, in ``sh``; return what it printed.

    Raises:
        BackendError: it failed, with its words.
    """
    program, *rest = command_line.ssh_arguments(options)
    wrapped = f"exec sh -c {_quoted(line.shell)}"
    done = subprocess.run(
        [program, "-T", *rest, wrapped], input=line.stdin or b"", capture_output=True, check=False
    )
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == 255:
        raise ssh_errors.explain(options, Ending(255, said, "", 0.0))
    if done.returncode:
        raise BackendError(f"{line.what}: it ended with {done.returncode}: {said.strip()[-600:]}")
    return done.stdout.decode("utf-8", "replace").strip()


def _quoted(line: str) -> str:
    """Return a line as one word that all login shells read the same."""
    if "'" in line or "!" in line or "\n" in line:
        raise BackendError(
            f"quotes, `!` and line breaks cannot be told to every shell, and this has some: {line}"
        )
    return f"'{line}'"

"""What of the machine matters to jobs: Python, the libraries, the limits of this process, the clock."""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator

import anyjob
from anyjob import __version__
from anyjob.cli.backends.host_limits import notices
from anyjob.cli.doctor.findings import OK, PROBLEM, WARNING, Finding
from anyjob.ledger.file.database import OLDEST_SQLITE
from anyjob.text.amounts import size

LIBRARIES = (
    "pluggy",
    "importlib-metadata",
    "msgspec",
    "platformdirs",
    "cloudpickle",
    "click",
    "rich",
    "psutil",
)
FEWEST_FILES = 256
"""Open files below which a program with many jobs comes to its limit."""
_LIMITS = {
    "open files": (resource.RLIMIT_NOFILE, "ulimit -n"),
    "processes": (resource.RLIMIT_NPROC, "ulimit -u"),
    "size of a file": (resource.RLIMIT_FSIZE, "ulimit -f"),
    "address space": (resource.RLIMIT_AS, "ulimit -v"),
}


def versions() -> Iterator[Finding]:
    """Yield which Python this is, on what, with which libraries."""
    python = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable or '?'}"
    yield Finding("versions", "anyjob", f"{__version__} in {os.path.dirname(anyjob.__file__)}")
    yield Finding("versions", "Python", python)
    yield Finding("versions", "platform", f"{platform.platform()}, {os.cpu_count()} processors")
    old = sqlite3.sqlite_version_info < OLDEST_SQLITE
    oldest = ".".join(map(str, OLDEST_SQLITE))
    way_out = f"the ledger needs {oldest}: use a Python that brings its own, as those of conda and uv do"
    yield Finding(
        "versions", "SQLite", sqlite3.sqlite_version, PROBLEM if old else OK, way_out if old else ""
    )
    from importlib import metadata

    for name in LIBRARIES:
        try:
            yield Finding("versions", name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding("versions", name, "not found", PROBLEM, f"pip install {name}")


def limits(state: object) -> Iterator[Finding]:
    """Yield the limits of this process, which jobs of this machine inherit, and what may end jobs early."""
    from pathlib import Path

    from anyjob.builtin.local.machine.totals import memory

    yield Finding("limits", "processors", f"{len(os.sched_getaffinity(0))} that this process may use")
    yield Finding("limits", "memory", f"{size(memory())} of the machine, or of its cgroup")
    for what, (which, command) in _LIMITS.items():
        soft, hard = map(_told, resource.getrlimit(which))
        few = which == resource.RLIMIT_NOFILE and 0 <= resource.getrlimit(which)[0] < FEWEST_FILES
        way_out = f"raise it: {command} {FEWEST_FILES * 4}" if few else ""
        yield Finding("limits", what, f"{soft}, up to {hard} ({command})", WARNING if few else OK, way_out)
    for notice in notices(Path(str(state))):
        said, _, way_out = notice.partition(". ")
        yield Finding("limits", "jobs of this machine", said, WARNING, way_out)


def _told(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def clock() -> Iterator[Finding]:
    """Yield what time it is here; times of jobs are those of the machines that they ran on."""
    now = time.time()
    told = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    wrong = now < 1_700_000_000  # 2023: before anyjob was written
    yield Finding(
        "clock",
        "time",
        f"{told} ({time.strftime('%Z')})",
        PROBLEM if wrong else OK,
        "set the clock of this machine: jobs are listed and forgotten by it" if wrong else "",
    )

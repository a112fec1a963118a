"""The command line as tests use it: the installed program in a process, or click's runner in this one."""

from __future__ import annotations

import inspect
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from click.testing import CliRunner, Result

from anyjob.cli.app import main

PROGRAM = [sys.executable, "-c", "import sys; from anyjob.cli import main; sys.exit(main())"]


def anyjob(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the program to its end."""
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, timeout=60, **options)


@contextmanager
def start(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program, with pipes for its output; whatever becomes of the test, it ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*PROGRAM, *arguments], stdout=pipe, stderr=pipe, bufsize=0) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()


def on_terminal(
    *arguments: str, when: tuple[bytes, Callable[[], object]] | None = None, **variables: str
) -> str:
    """What the program writes to a terminal of 80 columns; ``when``: at which text to call what."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **variables}
    process = subprocess.Popen(
        [*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    written = b""
    with process:
        while select.select([ours], [], [], 60)[0]:
            try:
                written += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if when is not None and when[0] in written:
                when[1]()
                when = None
    os.close(ours)
    return written.decode()


def invoke(*arguments: str) -> Result:
    """Run the command line in this process."""
    separate = "mix_stderr" in inspect.signature(CliRunner).parameters  # click 8.1 must be told
    options: dict[str, Any] = {"mix_stderr": False} if separate else {}
    path = [*sys.path]
    try:
        return CliRunner(**options).invoke(main, list(arguments))
    finally:
        sys.path[:] = path  # a command that shows what a job returned adds that job's


def install(directory: Path, name: str, entry_points: str, **modules: str) -> None:
    """Lay out an installed distribution in a directory: metadata, and modules of one file each."""
    info = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    for module, text in modules.items():
        (directory / f"{module}.py").write_text(text)

"""Starts interpreters of Python that run modules of ours, and nothing that is not known to be one.

In a frozen application `sys.executable` is the application itself, and in a program that embeds Python it may
be that program: started in place of an interpreter, it would run anew, and start the next.
"""

from __future__ import annotations

import os
import sys

from anyjob import _typing as t
from anyjob.errors import ConfigError

MARK = "ANYJOB_INTERPRETER"
"""The variable that processes of ours are started with, and take out of their environment before all else.

Who still finds it was started as an interpreter, and is none.
"""
PROBE_TIMEOUT = 20.0
"""Seconds that an interpreter may take to say that it is one."""
_PROBE = "import sys; sys.stdout.write('anyjob:' + str(sys.implementation.cache_tag))"
_found: str | None = None


def find_interpreter(configured: str = "") -> str:
    """Return the path of an interpreter that runs what this process runs.

    Args:
        configured: what the user has set as ``python``, which is taken as it is; empty for this one's own.

    Raises:
        ConfigError: there is none, as in a frozen application.
    """
    global _found
    if configured:
        return configured
    if _found is None:
        _found = _own_interpreter()
    return _found


def is_marked() -> bool:
    """Tell whether this program was started as an interpreter of ours, and does not know of it."""
    return MARK in os.environ


def unmark_interpreter() -> None:
    """Say that this process is what it was started as; what it starts is not marked."""
    os.environ.pop(MARK, None)


def spawn_interpreter(
    arguments: t.Sequence[str], *, python: str = "", env: t.Mapping[str, str] | None = None, **popen: t.Any
) -> t.Popen[bytes]:
    """Start an interpreter that runs a module of ours, which calls `unmark_interpreter` first.

    Args:
        arguments: of the interpreter.
        python: which one; empty for this process's own.
        env: its environment; by default that of this process.
        popen: further arguments of `subprocess.Popen`.

    Raises:
        ConfigError: there is no interpreter, or this program was itself started as one and is none.
        OSError: it cannot be started.
    """
    if is_marked():
        raise ConfigError(
            "anyjob has started this program as an interpreter of Python, and it is none: it starts no "
            f"processes of anyjob. Set `python` of the backend to an interpreter ({MARK} is set)"
        )
    import subprocess

    variables = {**(os.environ if env is None else env), MARK: "1"}
    return subprocess.Popen([find_interpreter(python), *arguments], env=variables, **popen)


def _own_interpreter() -> str:
    way_out = "set `python` of the backend to an interpreter that has anyjob installed"
    path = sys.executable
    if getattr(sys, "frozen", False) or "__compiled__" in vars(sys.modules["__main__"]):
        raise ConfigError(
            f"this is a frozen application ({path or 'sys.executable is empty'}), which is no interpreter of "
            f"Python: {way_out}, or use the backend `threads`"
        )
    if not path:
        raise ConfigError(f"there is no interpreter of Python: sys.executable is {path!r}: {way_out}")
    if not _is_this_program(path):
        _probe(path, way_out)
    return path


def _is_this_program(path: str) -> bool:
    """Tell, without starting it, whether a path is the interpreter that runs this."""
    name = os.path.basename(path).removeprefix("pypy").removeprefix("python")
    if name == os.path.basename(path) or name.strip("0123456789.td"):
        return False
    try:
        return os.path.samefile("/proc/self/exe", path)
    except OSError:
        return False


def _probe(path: str, way_out: str) -> None:
    """Have a program say that it is an interpreter of our version.

    Raises:
        ConfigError: it does not.
    """
    import signal
    import subprocess

    what = f"sys.executable, {path!r}, is no interpreter of Python that runs this"
    if is_marked():
        raise ConfigError(f"{what}: {way_out}")
    try:
        process = subprocess.Popen(
            [path, "-I", "-S", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, MARK: "1"},
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"{what} ({error.strerror or error}): {way_out}") from error
    try:
        answer, _ = process.communicate(timeout=PROBE_TIMEOUT)
    except subprocess.TimeoutExpired:
        answer = b""
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # all that it has started
        except OSError:
            pass
        process.communicate()
    if answer != f"anyjob:{sys.implementation.cache_tag}".encode():
        raise ConfigError(f"{what}: {way_out}")

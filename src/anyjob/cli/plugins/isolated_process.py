"""Runs a function of ours in a process of its own, with a time limit: it imports what may not be trusted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from importlib import import_module
from typing import Any, NamedTuple

from anyjob.execution.interpreter import spawn_interpreter

_CHILD = (
    "import json, sys; path = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from anyjob.execution.interpreter import unmark_interpreter as unmark; unmark(); "
    "from anyjob.cli.plugins import isolated_process; isolated_process.main(*sys.argv[2:])"
)
_MOST_OUTPUT = 4000
"""Bytes, at most, that are kept of what the process writes."""

_running: set[subprocess.Popen[bytes]] = set()


class IsolatedResult(NamedTuple):
    """What came of a function that was called in a process of its own.

    Args:
        value: what the function returned; None where the process ended without, or was ended.
        state: ``ok``; ``hangs`` or ``broken`` where there is no answer.
        why: how the process ended then, in words.
        output: the beginning of what it wrote to stdout and stderr.
    """

    value: Any
    state: str = "ok"
    why: str = ""
    output: str = ""


def run_isolated(function: str, *arguments: str, timeout: float) -> IsolatedResult:
    """Have a function called in a process of its own, on the same ``sys.path``; all it starts ends with it.

    Args:
        function: as ``module:name``; what it returns must fit into JSON.
        arguments: of the function.
        timeout: seconds after which the process is ended.
    """
    with tempfile.TemporaryFile() as answer_file, tempfile.TemporaryFile() as output:
        process = spawn_interpreter(
            [
                "-c",
                _CHILD,
                json.dumps(sys.path),
                str(answer_file.fileno()),
                function,
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[answer_file.fileno()],
            start_new_session=True,
        )
        _running.add(process)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            return IsolatedResult(
                None, "hangs", f"its import has not ended within {timeout:g} s", _text(output)
            )
        finally:
            _reap(process)
        text = _text(output)
        answer_file.seek(0)
        answer = answer_file.read()
    if answer:
        return IsolatedResult(json.loads(answer), output=text)
    return IsolatedResult(None, "broken", _how_it_ended(process.returncode, text), text)


def kill_all() -> None:
    """Kill all such processes: for who does not want to wait for their answers any more."""
    for process in list(_running):
        _kill(process)


def _how_it_ended(code: int, text: str) -> str:
    if code >= 0:
        last = text.strip().splitlines()[-1:]
        return ": ".join([f"its import ended the process (exit code {code})", *last])
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its import crashed: {name} ended the process"


def _reap(process: subprocess.Popen[bytes]) -> None:
    _kill(process)
    process.wait()
    _running.discard(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read(_MOST_OUTPUT).decode("utf-8", "replace"))


def main(to: str, function: str, *arguments: str) -> None:
    """What the process does: it calls the function, and writes the answer to a file that it has inherited."""
    module, _, name = function.partition(":")
    value = json.dumps(getattr(import_module(module), name)(*arguments))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # what was imported has closed it
    os.write(int(to), value.encode())
    os._exit(0)  # threads that an import has left behind are not waited for

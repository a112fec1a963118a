"""Imports plugins in processes of their own, with a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyjob.listing import Listed
    from anyjob.registry import Registry

_CHILD = (
    "import json, sys; path = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from anyjob.cli import importing; importing.child(*sys.argv[2:])"
)


def listing(registry: Registry, timeout: float) -> tuple[list[dict[str, str]], str]:
    """Return the lines of `Registry.listing`, without importing the hook plugins in this process.

    Args:
        registry: of ``sys.path``.
        timeout: seconds to wait for the hook plugins.

    Returns:
        the lines by name, and why what hook plugins register is not among them; empty where it is.
    """
    if registry.hook_plugins():
        said = _apart(timeout, "list")
        if "lines" in said:
            return said["lines"], ""
        why = f"names that hook plugins register are left out, since {said['why']}: see anyjob plugins check"
    else:
        why = ""
    return [line.to_dict() for line in registry.listing(hooks=False)], why


def check_all(listed: Sequence[Listed], timeout: float) -> list[dict[str, Any]]:
    """Import each, and say how it went.

    Args:
        listed: what to import; what cannot answer to its name is passed through as it is.
        timeout: seconds for each import.

    Returns:
        for each what `Listed` has, and ``seconds`` of its import; the state is ``ok``, ``broken`` or
        ``hangs``, or the one that it was listed with.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(lambda line: _check(line, timeout), listed))


def _check(line: Listed, timeout: float) -> dict[str, Any]:
    known: dict[str, Any] = {**line.to_dict(), "seconds": None}
    if line.state not in ("ok", "ambiguous", "broken") or not line.value or not line.distribution:
        return known
    said = _apart(timeout, "import", line.group, line.name, line.distribution)
    if line.state != "ambiguous" or said["state"] != "ok":
        known.update(said)
    known["seconds"] = said.get("seconds")
    return known


def _apart(timeout: float, *task: str) -> dict[str, Any]:
    """What a process of its own answers to a task, or the state of what it imports, and why there is none."""
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps(sys.path), str(answer.fileno()), *task],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[answer.fileno()],
            start_new_session=True,
        )
        try:
            _, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            return {"state": "hangs", "why": f"its import has not ended within {timeout:g} s"}
        finally:
            _end(process)
        answer.seek(0)
        said = answer.read()
    if said:
        found: dict[str, Any] = json.loads(said)
        return found
    last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    why = f"its import ended the process (exit code {process.returncode})"
    return {"state": "broken", "why": ": ".join([why, *last])}


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def child(answer: str, task: str, *arguments: str) -> None:
    """What the process does: a task, whose answer it writes to a file that it has inherited."""
    said = _list() if task == "list" else _import(*arguments)
    with open(int(answer), "w", encoding="utf-8") as file:
        json.dump(said, file)


def _list() -> dict[str, Any]:
    from anyjob.registry import Registry

    return {"lines": [line.to_dict() for line in Registry().listing()]}


def _import(group: str, name: str, distribution: str) -> dict[str, Any]:
    from anyjob.errors import AnyjobError
    from anyjob.plugins import HookManager
    from anyjob.registry import Registry

    registry = Registry()
    picked = f"{distribution}:{name}"
    load: dict[str, Any] = {
        "anyjob.backends": registry.backend,
        "anyjob.job_types": registry.job_type,
        "anyjob.providers": registry.provider,
        "anyjob.commands": registry.command,
    }
    started = time.perf_counter()
    said: dict[str, Any] = {"state": "ok", "why": ""}
    try:
        if group in load:
            load[group](picked)
        else:
            wanted = [each for each in registry.hook_plugins() if each.name == name]
            wanted = [each for each in wanted if each.distribution == distribution]
            HookManager(wanted, strict=True).implements("")
    except AnyjobError as error:
        said = {"state": "broken", "why": str(error)}
    said["seconds"] = time.perf_counter() - started
    return said

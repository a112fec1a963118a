"""flux as a program, with the words that the real one was recorded with: submit, jobs and cancel.

It runs what it is given, on this machine.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])
from support.simulated_scheduler import ALONE, Scheduler, Task

LETTERS = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
FLAGS = re.compile(
    r"--(job-name|input|cwd|cc|ntasks|cores-per-task|gpus-per-task|time-limit|queue|urgency)=(.*)", re.DOTALL
)


def id_of(job: int, number: int) -> str:
    """Write an id, as ``ƒ2oL``."""
    value, text = job * 100_000 + number + 2, ""
    while value:
        value, rest = divmod(value, len(LETTERS))
        text = LETTERS[rest] + text
    return f"{'f' if os.environ.get('FLUX_F58_FORCE_ASCII') else 'ƒ'}{text}"


def fail(message: str, code: int = 1) -> int:
    """Complain as the real one does."""
    print(message, file=sys.stderr)
    return code


def submit(flux: Scheduler, arguments: list[str]) -> int:
    """``flux submit OPTIONS /bin/bash SCRIPT``: says an id for each."""
    said: dict[str, str] = {}
    while arguments and arguments[0].startswith("--"):
        match = FLAGS.fullmatch(arguments[0])
        if match is None:
            return fail(f"flux-submit: ERROR: unrecognized arguments: {arguments[0]}", 2)
        said[match[1]] = match[2]
        del arguments[0]
    if said.get("queue", "batch") != "batch":
        return fail(f"[Errno 22] '{said['queue']}' is not a valid queue")
    first, last = map(int, said["cc"].split("-")) if "cc" in said else (ALONE, ALONE)

    def variables(job: int, number: int) -> dict[str, str]:
        letter = "ƒ" + id_of(job, number)[1:]
        array = {} if number == ALONE else {"FLUX_JOB_CC": str(number)}
        return {**os.environ, "FLUX_JOB_ID": letter, "FLUX_JOB_SIZE": "1", **array}

    script = Path(arguments[1]).read_bytes()
    held = said.get("urgency") == "0"
    job = flux.submit(arguments[:1], script, said["job-name"], range(first, last + 1), variables, held=held)
    for number in range(first, last + 1):
        print(id_of(job, number))
    return 0


def said_of(task: Task) -> dict[str, Any]:
    """Return what ``--json`` tells."""
    urgency = 0 if task.state == "held" else 16
    state = {"waiting": "SCHED", "held": "SCHED", "running": "RUN"}.get(task.state, "INACTIVE")
    said: dict[str, Any] = {"name": task.name.replace("{cc}", str(task.number)), "state": state}
    said |= {"jobid": "ƒ" + id_of(task.job, task.number)[1:], "urgency": urgency, "dependencies": []}
    said |= {"t_submit": 1.0, "exception": {"occurred": False}, "status": state}
    if task.started:
        said |= {"t_run": task.started, "nodelist": "vm"}
    if task.state == "ended":
        code = task.code or (-task.signal if task.signal else 0)
        result = "CANCELED" if task.deleted else "FAILED" if code else "COMPLETED"
        said |= {"t_inactive": task.ended, "result": result, "status": result, "returncode": code}
        if task.deleted:
            said["exception"] = {"occurred": True, "severity": 0, "type": "cancel", "note": ""}
    return said


def jobs(flux: Scheduler, arguments: list[str]) -> int:
    """``flux jobs --json [-c 0] [--since=…] [ID …]``."""
    known = {id_of(task.job, task.number)[1:]: task for task in flux.tasks()}
    ids = [each[1:] for each in arguments if each[0] in "fƒ"]
    with_ended = any(each.startswith("--since") for each in arguments)
    shown = [
        task for name, task in known.items() if (name in ids if ids else with_ended or task.state != "ended")
    ]
    for each in ids:
        if each not in known:
            fail(f"JobID ƒ{each} unknown")
    if ids and not shown:
        return 1
    found = [said_of(task) for task in shown]
    print(json.dumps(found[0] if len(ids) == 1 else {"jobs": found}))
    return 0


def cancel(flux: Scheduler, arguments: list[str]) -> int:
    """``flux cancel ID …``."""
    known = {id_of(task.job, task.number)[1:]: task for task in flux.tasks()}
    code, chosen = 0, []
    for each in arguments:
        task = known.get(each[1:])
        if task is None or task.state == "ended":
            why = "unknown job id" if task is None else "job is inactive"
            code = fail(f"flux-cancel: ERROR: ƒ{each[1:]}: {why}")
        else:
            chosen.append(task)
    flux.delete(chosen, grace=5.0)
    return code


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    _, _, _, program, *rest = sys.argv
    scheduler = Scheduler(Path(os.environ["SIMULATED_SCHEDULER"]))
    sys.exit({"submit": submit, "jobs": jobs, "cancel": cancel}[program](scheduler, rest))

"""Kelp, a batch scheduler that there is not: four programs with words of their own, and one directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
from support.simulated_scheduler import ALONE, Scheduler, Task, install

PROGRAMS = ("kput", "kls", "kpast", "kcut")


def install_kelp(directory: Path, sea: Path) -> None:
    """Lay the programs into a directory; their jobs are in another one."""
    install(directory, PROGRAMS, Path(__file__), sea)


def kput(sea: Scheduler, arguments: list[str]) -> int:
    """``kput --called NAME [--parts N] [--cores N]``: says ``planted as k7``."""
    said = dict(zip(arguments[::2], arguments[1::2], strict=True))
    if strange := said.keys() - {"--called", "--parts", "--cores"}:
        print(f"kput: what is {strange.pop()}?", file=sys.stderr)
        return 2
    parts = range(1, int(said["--parts"]) + 1) if "--parts" in said else [ALONE]

    def variables(job: int, part: int) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "KELP": f"k{job}",
            **({} if part == ALONE else {"KELP_PART": str(part)}),
        }

    shell = "sh" if (sea.directory / "sh").exists() else "bash"
    job = sea.submit([shell], sys.stdin.buffer.read(), said["--called"], parts, variables)
    print(f"planted as k{job}")
    return 0


def called(task: Task) -> str:
    """Write an id."""
    return f"k{task.job}" + ("" if task.number == ALONE else f"/{task.number}")


def kls(sea: Scheduler, arguments: list[str]) -> int:
    """``kls``: a line for each that has not ended, ``k7/3 growing fit``."""
    for task in sea.tasks():
        if task.state != "ended":
            print(called(task), {"running": "growing"}.get(task.state, "waiting"), task.name)
    return 0


def kpast(sea: Scheduler, arguments: list[str]) -> int:
    """``kpast``: a line for each that has, ``k7/3 withered 3 fit``."""
    for task in sea.tasks():
        if task.state == "ended":
            code = task.code or (128 + task.signal if task.signal else 0)
            print(called(task), "cut" if task.deleted else "withered" if code else "ripe", code, task.name)
    return 0


def kcut(sea: Scheduler, arguments: list[str]) -> int:
    """``kcut k7 k8/3``: TERM, and a second later KILL."""
    known = {called(task): task for task in sea.tasks() if task.state != "ended"}
    sea.delete([known[each] for each in arguments if each in known])
    missing = [each for each in arguments if each not in known]
    for each in missing:
        print(f"kcut: no {each} grows here", file=sys.stderr)
    return bool(missing)


if __name__ == "__main__":
    _, _, name, *rest = sys.argv
    scheduler = Scheduler(Path(os.environ["SIMULATED_SCHEDULER"]))
    if scheduler.is_away:
        sys.exit(f"{name}: the sea is out, come back later")
    sys.exit({"kput": kput, "kls": kls, "kpast": kpast, "kcut": kcut}[name](scheduler, rest))

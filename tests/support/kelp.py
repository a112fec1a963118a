"""Kelp, a batch scheduler that there is not: four programs with words of their own, and one directory.

``kput`` plants a script, ``kls`` lists what has not ended, ``kpast`` what has; ``kcut`` ends. All start at
once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("kput", "kls", "kpast", "kcut")


def install(directory: Path, sea: Path) -> None:
    """Lay the programs into a directory; their jobs are in another one."""
    sea.mkdir()
    directory.mkdir()
    for name in PROGRAMS:
        path = directory / name
        path.write_text(f'#!/bin/sh\nKELP_SEA={sea} exec {sys.executable} -I {__file__} {name} "$@"\n')
        path.chmod(0o755)


def main(program: str, *arguments: str) -> int:
    """Run one of the programs."""
    sea = Path(os.environ["KELP_SEA"])
    if (sea / "ebb").exists():
        print(f"{program}: the sea is out, come back later", file=sys.stderr)
        return 9
    return int({"kput": kput, "kls": kls, "kpast": kpast, "kcut": kcut}[program](sea, list(arguments)) or 0)


def kput(sea: Path, arguments: list[str]) -> int:
    """``kput --called NAME [--parts N] [--cores N]``: says ``planted as k7``."""
    said = dict(zip(arguments[::2], arguments[1::2], strict=True))
    if strange := said.keys() - {"--called", "--parts", "--cores"}:
        print(f"kput: what is {strange.pop()}?", file=sys.stderr)
        return 2
    number = 1
    while True:
        with suppress(FileExistsError):
            (sea / f"k{number}").mkdir()
            break
        number += 1
    script = sea / f"k{number}" / "script"
    script.write_bytes(sys.stdin.buffer.read())
    parts = range(1, int(said["--parts"]) + 1) if "--parts" in said else [0]
    for part in parts:
        plant = sea / f"k{number}" / f"{part}"
        plant.write_text(f"waiting 0 {said['--called']}\n")
        command = [sys.executable, "-I", __file__, str(script), str(part)]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
                         stderr=subprocess.DEVNULL)  # fmt: skip
    print(f"planted as k{number}")
    return 0


def grow(script: Path, part: int) -> None:
    """Run one part, and write down what comes of it."""
    plant = script.parent / str(part)
    name = plant.read_text().split()[2]
    environ = {"PATH": os.defpath, "KELP": script.parent.name, **({"KELP_PART": str(part)} if part else {})}
    work = subprocess.Popen(["bash", script], env=environ, start_new_session=True)
    write(plant, f"growing {work.pid} {name}\n")
    code = work.wait()
    how = "cut" if (plant.parent / f"{part}.cut").exists() else "ripe" if code == 0 else "withered"
    write(plant, f"{how} {code if code >= 0 else 128 - code} {name}\n")


def write(plant: Path, text: str) -> None:
    """Write what is known of a part, at once or not at all."""
    new = plant.with_suffix(".new")
    new.write_text(text)
    new.rename(plant)


def plants(sea: Path) -> list[tuple[str, list[str]]]:
    """Return each part with what is known of it."""
    found = []
    for path in sorted(sea.glob("k*/*")):
        if path.name.isdecimal():
            called = path.parent.name if path.name == "0" else f"{path.parent.name}/{path.name}"
            found.append((called, path.read_text().split()))
    return found


def kls(sea: Path, arguments: list[str]) -> None:
    """``kls``: a line for each that has not ended, ``k7/3 growing fit``."""
    for called, (state, _, name) in plants(sea):
        if state in ("waiting", "growing"):
            print(called, state, name)


def kpast(sea: Path, arguments: list[str]) -> None:
    """``kpast``: a line for each that has, ``k7/3 withered 3 fit``."""
    for called, (state, code, name) in plants(sea):
        if state not in ("waiting", "growing"):
            print(called, state, code, name)


def kcut(sea: Path, arguments: list[str]) -> int:
    """``kcut k7 k8/3``: TERM, and a second later KILL."""
    known, missing = dict(plants(sea)), 0
    pids = []
    for called in arguments:
        job, _, part = called.partition("/")
        state, pid, _ = known.get(called, ["", "", ""])
        if state not in ("waiting", "growing"):
            print(f"kcut: no {called} grows here", file=sys.stderr)
            missing = 1
            continue
        (sea / job / f"{part or 0}.cut").touch()
        while state == "waiting":
            time.sleep(0.01)
            state, pid, _ = dict(plants(sea))[called]
        pids.append(int(pid))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in pids:
            with suppress(ProcessLookupError):
                os.killpg(group, number)
        time.sleep(1.0 if number == signal.SIGTERM and pids else 0.0)
    return missing


if __name__ == "__main__":
    if sys.argv[1] in PROGRAMS:
        sys.exit(main(*sys.argv[1:]))
    grow(Path(sys.argv[1]), int(sys.argv[2]))

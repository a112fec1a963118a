"""What the tests run on Ray: workers import it, so it imports little."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path


def clean_up(begun: str, cleaned: str) -> None:
    try:
        Path(begun).touch()
        time.sleep(60)
    finally:
        Path(cleaned).touch()


def stubborn(path: str) -> None:
    child = subprocess.Popen(["sleep", "300"])
    Path(f"{path}.part").write_text(str(child.pid))
    os.rename(f"{path}.part", path)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue


def die(path: str, times: int) -> str:
    with open(path, "a") as stream:
        stream.write("run\n")
    if len(Path(path).read_text().split()) <= times:
        print("the last words", flush=True)
        while not Path(f"{path}.go").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def variable() -> str:
    return os.environ["ONLY_FOR_JOBS"]

"""What the tests of the zygotes call: found there by the import path that they give."""

from __future__ import annotations

import atexit
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

counter = 0


def count() -> int:
    """How often this was called in this process."""
    global counter
    counter += 1
    return counter


def mark(path: str, seconds: float = 0.0) -> int:
    """Leave a mark, at once."""
    with open(path, "ab", buffering=0) as stream:
        stream.write(b"%d\n" % os.getpid())
    time.sleep(seconds)
    return os.getpid()


def surroundings() -> dict[str, Any]:
    return {
        "cwd": os.getcwd(),
        "argv": sys.argv,
        "path": sys.path,
        "executable": sys.executable,
        "environ": dict(os.environ),
        "fds": sorted(os.listdir("/proc/self/fd")),
        "session": os.getsid(0) == os.getpid(),
        "main": vars(sys.modules["__main__"]).get("Zygote"),
        "term": signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL,
        "carried": Path("/proc/self/environ").read_bytes(),
    }


def speak() -> None:
    print("out")
    print("err", file=sys.stderr)
    os.write(1, b"raw\n")


def clean_up(path: str) -> None:
    try:
        os.write(1, b"ready\n")
        time.sleep(600)
    finally:
        Path(path).write_text("cleaned")


def ignore_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(1, b"ready\n")
    time.sleep(600)


def leave_daemon() -> int:
    """Fork, without exec, into a session of its own; and let its parent go."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(writer, b"%d" % os.getpid())
        os.close(writer)
        time.sleep(600)
    return int(os.read(reader, 20))


def return_twice() -> str:
    os.fork()
    return "once"


def at_exit(path: str) -> None:
    atexit.register(Path(path).write_text, "left")
    threading.Timer(0.01, Path(path + ".thread").write_text, ["joined"]).start()


def unpicklable() -> Callable[[], None]:
    return lambda: None


def draw() -> float:
    return random.random()

"""What the tests of the zygotes call: found there by the import path that they give."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
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


def mark_once(path: str, there: Path) -> int:
    """Leave a mark, as soon as a file is there."""
    while not there.exists():
        time.sleep(0.01)
    return mark(path)


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


def own_directory() -> tuple[str, list[str]]:
    """The name of the directory of this call, and what is in it."""
    path = os.environ["ANYJOB_SPOOL"]
    assert os.path.samestat(os.stat(f"{path}/stdout"), os.fstat(1))
    assert os.path.samestat(os.stat(f"{path}/stderr"), os.fstat(2))
    return os.path.basename(path), sorted(os.listdir(path))


def close_descriptor() -> None:
    os.close(1)


def remove_own_directory() -> None:
    shutil.rmtree(os.environ["ANYJOB_SPOOL"])


def unmask_and_speak() -> None:
    os.umask(0)
    print("said")


def leave_something(what: str, text: str, path: str) -> None:
    """Leave a text where `what` says, or nothing."""
    own = os.environ["ANYJOB_SPOOL"]
    match what:
        case "speak":
            print(text, end="")
        case "complain":
            os.write(2, text.encode())
        case "leave":
            Path(own, "mine").write_text(text)
        case "link":
            os.link(f"{own}/stdout", path)


def leave_a_writer(gate: str, reaped: bool = True) -> None:
    """Have a child start one that writes, in a session of its own, once somebody opens the gate.

    A child that is not reaped by this process is by the system, which then counts nothing of it as used.
    """
    if not reaped:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            with open(gate, "rb"):
                os.write(1, b"late")
        os._exit(0)
    with contextlib.nullcontext() if reaped else contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


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


def slate() -> dict[str, Any]:
    """What a call finds that another one may have changed."""
    umask = os.umask(0)
    os.umask(umask)
    return {
        "cwd": os.getcwd(),
        "argv": list(sys.argv),
        "path": list(sys.path),
        "environ": {name: value for name, value in os.environ.items() if name != "ANYJOB_JOB_ID"},
        "umask": umask,
        "handlers": {n: signal.getsignal(n) for n in signal.valid_signals() if n != signal.SIGTERM},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "main": dict(vars(sys.modules["__main__"])),
        "stdout": sys.stdout.fileno(),
    }


def spoil() -> int:
    """Change all of that."""
    os.chdir("/usr")
    os.environ["SPOILT"] = os.environ["PATH"] = "/spoilt"
    os.umask(0o777)
    for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.setitimer(signal.ITIMER_REAL, 600)
    sys.argv.append("spoilt")
    sys.path.insert(0, "/spoilt")
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    vars(sys.modules["__main__"])["spoilt"] = True
    random.seed(7)
    return os.getpid()


def close_all() -> int:
    os.closerange(3, 1000)
    return os.getpid()


def leave_thread(path: str) -> int:
    threading.Timer(0.05, Path(path).write_text, ["joined"]).start()
    return os.getpid()


def leave_child() -> tuple[int, int]:
    child = os.fork()
    if child == 0:
        time.sleep(600)
    return os.getpid(), child


def die_once(path: str) -> int:
    """Leave a mark, and die of it if it is the first."""
    number = mark(path)
    if len(Path(path).read_text().split()) == 1:
        os.kill(number, signal.SIGKILL)
    return number


def close_stdout() -> None:
    sys.stdout.close()


def read_line(path: str) -> str:
    with open(path) as stream:
        return stream.readline()


def use(size: int, seconds: float) -> int:
    """Have so many bytes in memory, write as many, and compute for so long."""
    with open(os.devnull, "wb") as stream:
        stream.write(b"x" * size)
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return os.getpid()


def use_and_exit(size: int) -> None:
    use(size, 0)
    os._exit(0)

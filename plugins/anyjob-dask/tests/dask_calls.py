"""Calls for the tests, which the test modules have sent by value."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any


def note(path: str) -> str:
    """Leave a line in a file, and return what it holds."""
    with open(path, "a") as stream:
        stream.write("ran\n")
    return Path(path).read_text()


def note_and_wait(path: str, seconds: float) -> str:
    """The same, and take a while."""
    found = note(path)
    time.sleep(seconds)
    return found


def note_and_die_once(path: str) -> str:
    """Leave a line in a file; the first time, end the worker that this runs beside."""
    found = note(path)
    if found.count("ran") == 1:
        os.kill(os.getppid(), 9)
        time.sleep(30)
    return found


def brief(path: str, number: int) -> int:
    """Leave a line in a file that others write to, too, and return what it was given."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{number}\n".encode())
    os.close(descriptor)
    time.sleep(0.01 * (number % 4))
    return number


def is_private(array: Any) -> tuple[float, bool, bool]:
    """Say what an array holds, whether it can be written to, and whether its memory is its own."""
    total = float(array.sum())
    array[0] = -1
    return total, bool(array.flags.writeable), bool(array.flags.owndata)


def variables() -> tuple[str, str, str]:
    """Where this runs."""
    return os.environ["ANYJOB_JOB_ID"], os.getcwd(), sys.executable


def surroundings() -> tuple[str | None, str, int]:
    """What a call may ask for, and the process that it is in."""
    return os.environ.get("ONLY_FOR_THIS"), os.getcwd(), os.getpid()


def note_and_return(path: str, size: int) -> bytes:
    """Leave a line in a file, and return so many bytes."""
    note(path)
    return bytes(size)


def fill_memory(size: int) -> int:
    """Take up memory, until somebody ends this."""
    taken = []
    while size > 0:
        taken.append(bytearray(os.urandom(10_000_000)))
        size -= 10_000_000
    time.sleep(30)
    return len(taken)

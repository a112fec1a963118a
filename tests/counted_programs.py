"""Counts what client, supervisor and keeper do for a job: by numbers, for which no clock is needed.

Each has a file of its counts, mapped into memory: so they are there for the test at any moment.
"""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.keeper import supervisor_link
from anyjob.builtin.local.keeper.launch import worker_pool, worker_process
from anyjob.builtin.local.keeper.log.writer import LogWriter
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor import dependents, ledger_writer

COUNTED = ("statements", "sent", "received", "wakeups", "log lines", "log bytes")
"""SQL statements; messages; turns of the event loop; what is written to the keeper's log."""
ASLEEP = "asleep"
"""Not counted: 1 while an event loop waits, and nothing ends that by itself."""
_NUMBERS = (*COUNTED, ASLEEP)
TESTS = str(Path(__file__).resolve().parent)
LONG = 60.0
"""Seconds that no job takes here."""


class Counts:
    """The counts of one program, as they are now."""

    def __init__(self, directory: Path, program: str) -> None:
        path = directory / f"{program}.counts"
        if not path.exists():
            path.write_bytes(bytes(8 * len(_NUMBERS)))
        with open(path, "r+b") as stream:
            self._numbers = memoryview(mmap.mmap(stream.fileno(), 0)).cast("q")

    def add(self, what: str, count: int = 1) -> None:
        """So many more."""
        self._numbers[_NUMBERS.index(what)] += count

    def set(self, what: str, number: int) -> None:
        """It is so many now."""
        self._numbers[_NUMBERS.index(what)] = number

    def now(self) -> dict[str, int]:
        """Return all of them."""
        return dict(zip(_NUMBERS, self._numbers, strict=True))


def replacements(
    counts: Counts, directory: Path, *, patiently: bool = True
) -> Iterator[tuple[Any, str, Any]]:
    """Yield what has to be replaced in a program for it to count: where, which name, by what.

    What waits a little, so as to be done together with something else, waits ``patiently`` for that, however
    long it takes: else it depends on how busy the machine is what comes together.
    """
    send, receive, run_once = FrameSocket.send, FrameSocket.receive, EventLoop.run_once
    append, connect, arguments = LogWriter.append, sqlite3.connect, RuntimePaths.arguments

    def counted(method: Callable[..., Any], count: Callable[..., object]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            result = method(*given, **named)
            count(result, *given)
            return result

        return call

    def turn(loop: EventLoop, limit: float | None) -> None:
        counts.set(ASLEEP, int(limit is None and not loop._timers))
        run_once(loop, limit)
        counts.set(ASLEEP, 0)
        counts.add("wakeups")

    def appended(result: Any, writer: Any, line: bytes) -> None:
        counts.add("log lines", line.count(b"\n"))
        counts.add("log bytes", len(line))

    def counted_arguments(paths: RuntimePaths, program: str, **more: Any) -> list[str]:
        isolated, c, code, *rest = arguments(paths, program, **more)
        head, start, tail = code.partition("from anyjob")
        begin = f"sys.path.append({TESTS!r});import counted_programs;"
        begin += f"counted_programs.begin({program!r},{str(directory)!r},{patiently});"
        return [isolated, c, head + begin + start + tail, *rest]

    yield FrameSocket, "send", counted(send, lambda *_: counts.add("sent"))
    yield FrameSocket, "receive", counted(receive, lambda got, *_: counts.add("received", len(got)))
    yield EventLoop, "run_once", turn
    yield LogWriter, "append", counted(append, appended)
    yield (
        sqlite3,
        "connect",
        counted(connect, lambda db, *_: db.set_trace_callback(lambda _: counts.add("statements"))),
    )
    yield RuntimePaths, "arguments", counted_arguments
    if patiently:
        yield supervisor_link, "SOON", LONG
        yield worker_pool, "LOOK", LONG
        yield worker_process, "AHEAD", LONG
        yield dependents, "SOON", LONG
        yield ledger_writer, "PACE", LONG


def begin(program: str, directory: str, patiently: bool) -> None:
    """Count, in a program that is starting, and in those that it starts."""
    place = Path(directory)
    for where, name, what in replacements(Counts(place, program), place, patiently=patiently):
        setattr(where, name, what)

"""Programs fork: what others have written stays, what the child writes is there for all, and nobody hangs."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import add
from support.waiting import TIMEOUT

from anyjob.ledger.store import Ledger

PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from support.ledgers import add
from anyjob import StateError
from anyjob.ledger.file import process_connection
from anyjob.ledger.store import Ledger

ledger = Ledger(Path({state!r}))

def tell(answer):
    sys.stdout.write(f"{{answer}}\\n")
    sys.stdout.flush()

def serve():
    for line in sys.stdin:
        tell(eval(line))

def refused():
    try:
        return ledger.counts()
    except StateError as error:
        return error
"""


class Program:
    """A program of its own, with a ledger; it evaluates the lines that it is sent."""

    def __init__(self, state: Path, code: str) -> None:
        command = [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            PROGRAM.format(state=str(state)) + code,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        return self.said()

    def end(self) -> None:
        self.process.communicate(timeout=TIMEOUT)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    programs = []

    def start(code: str = "serve()") -> Program:
        programs.append(Program(tmp_path / "state", code))
        return programs[-1]

    yield start
    for started in programs:
        with suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)  # and what it has forked off
        started.process.communicate()


def written(state: Path) -> int:
    """Return how many jobs a program sees that comes later; the file is sound."""
    with sqlite3.connect(state / "ledger.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(db.execute("SELECT count(*) FROM jobs").fetchone()[0])


def test_what_others_write_after_the_parent_has_left_stays(program: Any, tmp_path: Path) -> None:
    """A process daemonises; others, which are the last as they believe, take the journal away."""
    leave = tmp_path / "leave"
    os.mkfifo(leave)
    child = program(
        "add(ledger)\nif os.fork():\n"
        f"    open({str(leave)!r}).read()\n    ledger.close()\n    os._exit(0)\nserve()"
    )
    assert child.ask("add(ledger) and ledger.counts()") == "{'QUEUED': 2}"
    leave.write_text("now")
    child.process.wait(TIMEOUT)
    other = program()
    assert other.ask("add(ledger) and ledger.counts()") == "{'QUEUED': 3}"
    other.end()
    third = program()
    assert third.ask("add(ledger, 300) and ledger.counts()") == "{'QUEUED': 303}"
    assert child.ask("add(ledger) and ledger.counts()") == "{'QUEUED': 304}"
    assert child.ask("add(ledger, 3000) and ledger.file.read('PRAGMA wal_checkpoint(TRUNCATE)')")
    assert third.ask("ledger.counts()") == "{'QUEUED': 3304}"
    child.end()
    third.end()
    assert written(tmp_path / "state") == 3304


def test_a_fork_waits_for_another_threads_write(program: Any, tmp_path: Path) -> None:
    """A child neither sees half of it nor inherits it, nor does it hang on what that thread held."""
    writer = program(
        """
go, stop = threading.Event(), threading.Event()

def write():
    while not stop.is_set():
        add(ledger, 100)
        go.set()

thread = threading.Thread(target=write)
thread.start()
go.wait()
codes = []
for _ in range(20):
    child = os.fork()
    if not child:
        stop.set()  # that thread is not here
        before = ledger.counts()["QUEUED"]
        add(ledger)
        os._exit(0 if ledger.counts()["QUEUED"] > before else 1)
    codes.append(os.waitpid(child, 0)[1])
stop.set()
thread.join()
tell(codes)
tell(ledger.counts()["QUEUED"] % 100)
"""
    )
    assert writer.said() == str([0] * 20)
    assert writer.said() == "20"
    writer.end()
    assert written(tmp_path / "state") % 100 == 20


HANDLER = """
def fork(*_):
    global child
    child = os.fork()

signal.signal(signal.SIGUSR1, fork)

def interrupted(db):
    add(ledger, 5)
    os.kill(os.getpid(), signal.SIGUSR1)
    db.execute("UPDATE jobs SET native_id = id")

add(ledger)
try:
    ledger.file.write(interrupted)
except StateError as error:
    tell(error)
if not child:
    tell(refused())
    sys.exit(7)  # with all that ends with a program
tell(os.waitpid(child, 0)[1] >> 8)
tell(ledger.counts())
serve()
"""


def test_a_signal_handler_that_forks_amid_a_write(program: Any, tmp_path: Path) -> None:
    """The write is the parent's alone; the child can do nothing to the ledger, and is told so."""
    parent = program(HANDLER)
    for _ in range(2):
        assert "cannot be used in this process: it was forked off" in parent.said()
    assert parent.said() == "7"
    assert parent.said() == "{'QUEUED': 6}"
    assert parent.ask("add(ledger) and ledger.counts()") == "{'QUEUED': 7}"
    parent.end()
    assert written(tmp_path / "state") == 7


def test_a_write_that_takes_too_long_is_not_waited_for(program: Any, tmp_path: Path) -> None:
    """A thread that writes may want what the thread that forks has: the child is refused the ledger."""
    parent = program(
        """
process_connection.FORK_PATIENCE = 0
writing, forked = threading.Event(), threading.Event()

def slow():
    ids = add(ledger, 5)
    writing.set()
    forked.wait()
    return ids + add(ledger, 5)

thread = threading.Thread(target=ledger.transaction, args=[slow])
thread.start()
writing.wait()
child = os.fork()
if not child:
    tell(refused())
    os._exit(0)
os.waitpid(child, 0)
forked.set()
thread.join()
tell(ledger.counts())
"""
    )
    assert "cannot be used in this process: it was forked off" in parent.said()
    assert parent.said() == "{'QUEUED': 10}"
    parent.end()
    assert written(tmp_path / "state") == 10


def test_reading_goes_on_on_both_sides(tmp_path: Path) -> None:
    """A signal handler forks while this thread reads: the fork has closed what it read from."""
    ledger = Ledger(tmp_path / "state")
    add(ledger, 3)
    file = ledger.file
    children: list[int] = []

    def read() -> list[Any]:
        cursor = file._connection().execute("SELECT id FROM jobs")
        if not children:
            children.append(os.fork())
        return cursor.fetchall()

    try:
        read_here = file._guarded(read)
    finally:
        if children == [0]:
            os._exit(len(read_here))
    assert os.waitpid(children[0], 0)[1] >> 8 == 3
    assert len(read_here) == 3
    ledger.close()

"""The least that a durable call, and a program, can cost the processor however `local` were built: made bare.

A call: given to a warm process 64 at a time, whose log has a line before the call begins, and what came of it
before that is told, 64 at a time; no streams, nothing cleaned between calls, no ledger. Beside it what the
ledger takes for a job that is submitted and one that ends, in bulk, what SQLite alone takes to write the rows
of one that is submitted, and the files of a job. A program: a loop
of posix_spawn alone; one where each has a session of its own, as what is to be found and ended as a whole
needs; and one that beside both makes a directory and two files for each, and writes three lines.

Usage: python benchmarks/local_floor.py [rounds]
"""

from __future__ import annotations

import os
import pickle
import resource
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from anyjob.ledger.encoding import Context, encode_resources
from anyjob.ledger.rows import BackendRow, NewJob
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.resources import Resources
from anyjob.status import JobStatus

CALLS, BATCH, PROGRAMS, WIDTH = 20_000, 64, 500, 2


def processor() -> float:
    """Seconds of a processor that this process and its dead children have used."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in each)


def measured(count: int, work: Callable[[], object]) -> tuple[float, float]:
    """Return microseconds of a processor, and by the clock, for each."""
    used, begun = processor(), time.perf_counter()
    work()
    return (processor() - used) / count * 1e6, (time.perf_counter() - begun) / count * 1e6


def serve(link: socket.socket, log: int) -> None:
    """Make the calls of each message, and answer with what came of them."""
    stream = link.makefile("rwb")
    while (calls := pickle.load(stream)) is not None:
        results = []
        for number, payload in calls:
            os.write(log, b"%d starts %f\n" % (number, time.time()))
            before = resource.getrusage(resource.RUSAGE_SELF)
            fn, arguments = pickle.loads(payload)
            value = pickle.dumps(fn(*arguments), 5)
            after = resource.getrusage(resource.RUSAGE_SELF)
            result = pickle.dumps((number, value, after.ru_utime - before.ru_utime, after.ru_maxrss), 5)
            os.write(log, result)
            results.append(result)
        pickle.dump(results, stream)
        stream.flush()


def calls(directory: str) -> None:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        log = os.open(f"{directory}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        serve(theirs, log)
        os._exit(0)
    stream = ours.makefile("rwb")
    for first in range(0, CALLS, BATCH):
        numbers = range(first, min(first + BATCH, CALLS))
        pickle.dump([(number, pickle.dumps((abs, (number,)), 5)) for number in numbers], stream)
        stream.flush()
        for result in pickle.load(stream):
            pickle.loads(result)
    pickle.dump(None, stream)
    stream.flush()
    os.waitpid(child, 0)


def submitted(ledger: Ledger, number: int, ids: list[str]) -> None:
    payload = pickle.dumps(((1,), {}), 5)
    context = Context(("python",), encode_resources(Resources()))
    for first in range(0, CALLS, 1000):
        jobs = [NewJob(job_id, payload) for job_id in ids[first : first + 1000]]
        ledger.add(number, jobs, kind="python", native="python", context=context, state=JobStatus.QUEUED)


def inserted(ledger: Ledger, jobs: list[tuple[object, ...]], work: list[tuple[object, ...]]) -> None:
    """Write the rows of jobs, which are made already, into an empty ledger."""
    insert = "INSERT INTO jobs (n, id, bulk, backend, state) VALUES (?, ?, ?, ?, ?)"

    def write(first: int, db: sqlite3.Connection) -> None:
        db.executemany(insert, jobs[first : first + 1000])
        db.executemany("INSERT INTO work VALUES (?, ?, ?)", work[first : first + 1000])

    for first in range(0, CALLS, 1000):
        ledger.file.write(partial(write, first))


def ended(ledger: Ledger, ids: list[str]) -> None:
    value = pickle.dumps(1, 5)
    for first in range(0, CALLS, BATCH):
        outcome = Outcome(status=JobStatus.DONE, value=value, started=1.0, finished=2.0)
        ledger.settle(dict.fromkeys(ids[first : first + BATCH], outcome))


def files(directory: str) -> None:
    for number in range(CALLS // 10):
        spool = f"{directory}/{number}"
        os.mkdir(spool, 0o700)
        for name in ("stdout", "stderr"):
            os.close(os.open(f"{spool}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))


def renames(directory: str) -> None:
    """Have one directory with two files serve all, as long as nothing is in it: look each time."""
    mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    spool = f"{directory}/first"
    os.mkdir(spool, 0o700)
    streams = [os.open(f"{spool}/{name}", mode, 0o600) for name in ("stdout", "stderr")]
    for number in range(CALLS // 10):
        last, spool = spool, f"{directory}/renamed-{number}"
        os.rename(last, spool)
        if any(os.fstat(fd).st_size for fd in streams) or len(os.listdir(spool)) > len(streams):
            raise AssertionError("nobody has written")
    for fd in streams:
        os.close(fd)


def programs(directory: str, *, setsid: bool = True) -> None:
    """Run them, each in a session of its own perhaps, and with a directory if there is one to make it in."""
    log = os.open(f"{directory}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND) if directory else -1
    left, running = PROGRAMS, 0
    while left or running:
        while left and running < WIDTH:
            actions = []
            if directory:
                os.write(log, b"%d starts\n" % left)
                spool = f"{directory}/{left}"
                os.mkdir(spool, 0o700)
                mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                opened = [os.open(f"{spool}/{name}", mode, 0o600) for name in ("stdout", "stderr")]
                actions = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate(opened, 1)]
            os.posix_spawn("/bin/true", ["/bin/true"], os.environ, file_actions=actions, setsid=setsid)
            if directory:
                os.write(log, b"%d has a process\n" % left)
                for fd in opened:
                    os.close(fd)
            left, running = left - 1, running + 1
        os.wait()
        if directory:
            os.write(log, b"one has ended\n")
        running -= 1


def one_round(root: Path) -> dict[str, float]:
    """Return what each takes; what is made for it lies below a directory."""
    for name in ("calls", "files", "programs"):
        (root / name).mkdir()
    ids = [f"{each:020x}" for each in range(CALLS)]
    ledger = Ledger(root / "state")
    number = ledger.backend(BackendRow("{}", "local", "local", "anyjob", {}, "here"))
    rows = Ledger(root / "rows")
    rows.file.read("SELECT 1")  # it is made
    payload = pickle.dumps(((1,), {}), 5)
    jobs: list[tuple[object, ...]] = [(n, job_id, 1, 1, 1) for n, job_id in enumerate(ids, 1)]
    work: list[tuple[object, ...]] = [(n, payload, None) for n in range(1, CALLS + 1)]
    found = {
        "a call, made bare": measured(CALLS, lambda: calls(f"{root}/calls"))[0],
        "the ledger: it is submitted": measured(CALLS, lambda: submitted(ledger, number, ids))[0],
        "SQLite alone: its rows are inserted": measured(CALLS, lambda: inserted(rows, jobs, work))[0],
        "the ledger: it has ended": measured(CALLS, lambda: ended(ledger, ids))[0],
        "a directory with two files": measured(CALLS // 10, lambda: files(f"{root}/files"))[0],
        "one that is renamed": measured(CALLS // 10, lambda: renames(f"{root}/files"))[0],
    }
    ledger.close()
    rows.close()
    bare, by_clock = measured(PROGRAMS, lambda: programs("", setsid=False))
    apart, apart_by_clock = measured(PROGRAMS, lambda: programs(""))
    full, full_by_clock = measured(PROGRAMS, lambda: programs(f"{root}/programs"))
    return found | {
        "a program, posix_spawn alone": bare,
        "the same in a session of its own": apart,
        "which is, in percent of the bare rate": 100 * by_clock / apart_by_clock,
        "with its directory, files and log, too": full,
        "which is, in percent of that rate": 100 * by_clock / full_by_clock,
    }


def main() -> None:
    """Print medians of all rounds, in microseconds of a processor."""
    found: dict[str, list[float]] = {}
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        with tempfile.TemporaryDirectory() as root:
            for what, value in one_round(Path(root)).items():
                found.setdefault(what, []).append(value)
    for what, values in found.items():
        print(f"{what:42} {statistics.median(values):7.1f}   ({', '.join(f'{each:.1f}' for each in values)})")


if __name__ == "__main__":
    main()

"""The engine of `RightBackend`, as a program: takes orders, and runs them when its client is long gone.

It lives in a directory, of which each job has an entry: ``state`` says where the job is, ``claim`` is
made by whoever starts or cancels it, ``cancel`` asks for its end. One such process serves the orders of
one launch; locks on files keep to the number of slots among all of them. It imports little, to start fast.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any, BinaryIO

PAUSE = 0.02
"""Seconds between two looks at a process, and at what was asked of it, at most."""
CLAIM = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def claim(entry: str) -> bool:
    """Take a job that has not started; whoever is first has it."""
    try:
        os.close(os.open(os.path.join(entry, "claim"), CLAIM, 0o600))
    except OSError:
        return False
    return True


def write_state(entry: str, **state: Any) -> None:
    """Say where a job is; that of a job which was forgotten is said to nobody."""
    path = os.path.join(entry, "state")
    try:
        with open(f"{path}.{threading.get_ident()}", "w") as stream:
            json.dump(state, stream)
        os.rename(stream.name, path)
    except FileNotFoundError:
        return


def read_state(entry: str) -> dict[str, Any] | None:
    """Where a job is; None for one that the engine does not know."""
    try:
        with open(os.path.join(entry, "state")) as stream:
            found: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return None
    return found


class Engine:
    """Runs the orders of one launch."""

    def __init__(self, directory: str, slots: int) -> None:
        self.directory = directory
        self.slots = [
            os.open(os.path.join(directory, f"slot-{number}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for number in range(slots)
        ]
        self.queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.lock = threading.Lock()

    def serve(self, orders: BinaryIO, answers: BinaryIO) -> None:
        threads = [threading.Thread(target=self.work) for _ in self.slots]
        for thread in threads:
            thread.start()
        while True:
            try:
                order = pickle.load(orders)
            except EOFError:
                break
            entry = os.path.join(self.directory, "jobs", order["native_id"])
            os.mkdir(entry + ".part", 0o700)
            write_state(entry + ".part", status="QUEUED")
            os.rename(entry + ".part", entry)
            self.queue.put({**order, "entry": entry})
            try:
                answers.write(b"\n")
                answers.flush()
            except BrokenPipeError:  # the client has died: what it was to be told, it will find
                continue
        for _ in threads:
            self.queue.put(None)
        for thread in threads:
            thread.join()

    def work(self) -> None:
        while (order := self.queue.get()) is not None:
            slot = self.slot()
            if slot is None:
                continue
            try:
                if claim(order["entry"]):
                    self.run(order)
            finally:
                fcntl.lockf(slot, fcntl.LOCK_UN)
                self.free(slot)

    def slot(self) -> int | None:
        """Take a slot, of which other processes take some, too; None where all is over."""
        while not self.stopped():
            with self.lock:
                for slot in self.slots:
                    try:
                        fcntl.lockf(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except OSError:
                        continue
                    self.slots.remove(slot)
                    return slot
            time.sleep(PAUSE)
        return None

    def free(self, slot: int) -> None:
        with self.lock:
            self.slots.append(slot)

    def stopped(self) -> bool:
        return os.path.exists(os.path.join(self.directory, "stop")) or not os.path.exists(self.directory)

    def run(self, order: dict[str, Any]) -> None:
        entry, spool = order["entry"], order["spool"]
        started = time.time()
        write_state(entry, status="RUNNING", started=started)
        known = {"started": started, "host": os.uname().nodename}
        try:
            process = self.start(order, spool)
        except OSError as error:
            write_state(entry, **known, **not_started(order, error))
            return
        ended_for = self.watch(process, entry, order["walltime"])
        write_state(entry, finished=time.time(), **known, **outcome(process.returncode, ended_for))

    def start(self, order: dict[str, Any], spool: str) -> subprocess.Popen[bytes]:
        streams = [os.open(os.path.join(spool, name), CLAIM, 0o600) for name in ("stdout", "stderr")]
        stdin = os.open(order["stdin"], os.O_RDONLY)
        try:
            return subprocess.Popen(
                order["argv"],
                cwd=order["cwd"],
                env=order["environment"],
                stdin=stdin,
                stdout=streams[0],
                stderr=streams[1],
                start_new_session=True,
            )
        finally:
            for descriptor in (*streams, stdin):
                os.close(descriptor)

    def watch(self, process: subprocess.Popen[bytes], entry: str, walltime: float | None) -> str:
        """Wait for a process to end, or end it; say why it was ended."""
        deadline = None if walltime is None else time.monotonic() + walltime
        cancel = os.path.join(entry, "cancel")
        pause = 0.001
        while process.poll() is None:
            if os.path.exists(cancel) or self.stopped():
                return end(process, "cancelled")
            if deadline is not None and time.monotonic() > deadline:
                return end(process, "walltime")
            time.sleep(pause)
            pause = min(2 * pause, PAUSE)
        return ""


def end(process: subprocess.Popen[bytes], why: str) -> str:
    from anyjob.execution import spawning

    spawning.terminate([process.pid])
    process.wait()
    return why


def outcome(code: int, ended_for: str) -> dict[str, Any]:
    """What came of a process, with the fields of `anyjob.Outcome`."""
    if ended_for == "cancelled":
        return {"status": "CANCELLED"}
    if ended_for == "walltime":
        return {"status": "ERROR", "reason": "walltime", "message": "it ran longer than was asked for"}
    if code < 0:
        message = f"ended by {signal.Signals(-code).name}"
        return {"status": "ERROR", "reason": "signal", "message": message, "signal": -code}
    if code:
        return {"status": "ERROR", "reason": "exit-code", "message": f"exit code {code}", "exit_code": code}
    return {"status": "DONE", "exit_code": 0}


def not_started(order: dict[str, Any], error: OSError) -> dict[str, Any]:
    from anyjob.execution.spawning import start_failure
    from anyjob.specs import Command

    found = start_failure(Command(order["argv"], cwd=order["cwd"]), error)
    return {
        "status": "ERROR",
        "reason": found.reason,
        "exit_code": found.exit_code,
        "message": found.message,
        "finished": found.finished,
    }


def main() -> None:
    if os.fork():
        os._exit(0)  # whoever started it has nothing to reap later
    os.setsid()
    Engine(sys.argv[1], int(sys.argv[2])).serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()

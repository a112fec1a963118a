"""A small batch scheduler on this machine, which fake programs with the words of a real one are made of.

It needs the standard library only, and is imported by those programs, each call of which is a process. What
it knows is in a directory: of each job ``JOB/said``, and of each task ``JOB/taskN``. A process for each job,
its host, starts the tasks: some at a time, in their order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SLOTS = 8
"""Tasks of a job that run at a time."""
ALONE = -1
"""The number of what is no task of an array."""


class Task(NamedTuple):
    """What is known of a job, or of a task of an array."""

    job: int
    number: int
    name: str
    state: str = "waiting"  # or "held", "running", "ended"
    pid: int = 0
    code: int = 0
    signal: int = 0
    started: float = 0.0
    ended: float = 0.0
    deleted: bool = False


class Scheduler:
    """The scheduler whose jobs are in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def is_away(self) -> bool:
        """Whether it does not answer now."""
        return (self.directory / "away").exists()

    def submit(
        self,
        argv: Sequence[str],
        script: bytes,
        name: str,
        numbers: Sequence[int],
        variables: Callable[[int, int], Mapping[str, str]],
        *,
        held: bool = False,
    ) -> int:
        """Take a script, to be given to ``argv`` by a file; return the number of the job.

        Args:
            argv: what runs it; its path is added.
            script: what it says.
            name: what the job is called.
            numbers: of the tasks; `ALONE` where there are none.
            variables: gives those of a task, by the numbers of the job and of the task.
            held: whether it waits for ever.
        """
        job = 1
        while True:
            with suppress(FileExistsError):
                (self.directory / f"{job}").mkdir()
                break
            job += 1
        (self.directory / f"{job}" / "script").write_bytes(script)
        said = [dict(variables(job, number)) for number in numbers]
        for number in numbers:
            self.write(Task(job, number, name, "held" if held else "waiting"))
        (self.directory / f"{job}" / "said").write_text(json.dumps([list(argv), said, list(numbers)]))
        if not held:
            command = [sys.executable, "-S", "-I", __file__, str(self.directory), str(job)]
            none = subprocess.DEVNULL
            subprocess.Popen(command, stdin=none, stdout=none, stderr=none, start_new_session=True, cwd="/")
        return job

    def path(self, job: int, number: int) -> Path:
        """Return where a task is written down."""
        return self.directory / f"{job}" / f"task{number}"

    def write(self, task: Task) -> None:
        """Write a task down, at once or not at all."""
        path = self.path(task.job, task.number)
        part = path.with_name(f"part-{task.number}-{os.getpid()}")
        part.write_text(json.dumps(task))
        part.rename(path)

    def task(self, job: int, number: int) -> Task | None:
        """Return a task; None where there is none."""
        try:
            task = Task(*json.loads(self.path(job, number).read_text()))
        except FileNotFoundError:
            return None
        return task._replace(deleted=task.deleted or self.is_deleted(task))

    def tasks(self) -> Iterator[Task]:
        """Yield all there are, in the order of their jobs."""
        jobs = sorted(int(name) for name in os.listdir(self.directory) if name.isdecimal())
        for job in jobs:
            names = [name[4:] for name in os.listdir(self.directory / f"{job}") if name.startswith("task")]
            for number in sorted(map(int, names)):
                task = self.task(job, number)
                if task is not None:
                    yield task

    def is_deleted(self, task: Task) -> bool:
        """Whether somebody has deleted a task."""
        return self.path(task.job, task.number).with_name(f"deleted{task.number}").exists()

    def delete(self, tasks: Sequence[Task], grace: float = 1.0) -> None:
        """End tasks: by TERM, and by KILL after a while. Returns at once."""
        for task in tasks:
            self.path(task.job, task.number).with_name(f"deleted{task.number}").touch()
            if task.state in ("held", "waiting"):  # should it start now, its host sees to it
                self.write(task._replace(state="ended", ended=time.time()))
        pids = [str(task.pid) for task in tasks if task.state == "running"]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGTERM)
        if pids:
            kill = f"sleep {grace}; for pid in {' '.join(pids)}; do kill -KILL -$pid; done"
            none = subprocess.DEVNULL
            subprocess.Popen(["sh", "-c", kill], stdout=none, stderr=none, start_new_session=True)

    def host(self, job: int) -> None:
        """Run the tasks of a job, and write down what comes of them."""
        argv, said, numbers = json.loads((self.directory / f"{job}" / "said").read_text())
        waiting = list(zip(numbers, said, strict=True))
        running: dict[int, Task] = {}
        while waiting or running:
            while waiting and len(running) < SLOTS:
                number, variables = waiting.pop(0)
                task = self.task(job, number)
                assert task is not None
                if task.deleted:
                    self.write(task._replace(state="ended", ended=time.time()))
                    continue
                argv_of_task = [*argv, str(self.directory / f"{job}" / "script")]
                pid = os.fork()
                if pid == 0:
                    os.setsid()
                    os.execvpe(argv_of_task[0], argv_of_task, variables)
                running[pid] = task._replace(state="running", pid=pid, started=time.time())
                self.write(running[pid])
                if self.is_deleted(task):  # meanwhile
                    with suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGTERM)
            if running:
                pid, status = os.wait()
                task = running.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                task = task._replace(state="ended", ended=time.time(), deleted=self.is_deleted(task))
                self.write(task._replace(code=max(code, 0), signal=max(-code, 0)))


def install(directory: Path, programs: Sequence[str], words: Path, jobs: Path) -> None:
    """Lay programs into a directory: each runs the file ``words`` with its name and its arguments.

    The jobs are in the directory that ``SIMULATED_SCHEDULER`` names.
    """
    jobs.mkdir()
    directory.mkdir()
    start = f"exec {sys.executable} -S -I {words} {Path(__file__).parents[1]}"
    for name in programs:
        path = directory / name
        path.write_text(f'#!/bin/sh\nSIMULATED_SCHEDULER={jobs} {start} {name} "$@"\n')
        path.chmod(0o755)


if __name__ == "__main__":
    Scheduler(Path(sys.argv[1])).host(int(sys.argv[2]))

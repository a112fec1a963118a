"""What the tests run on Ray: workers import it, so it imports little."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


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


def surroundings() -> tuple[str | None, str]:
    return os.environ.get("ONLY_FOR_THIS"), os.getcwd()


def noted(path: str, number: int, special: Sequence[int], what: str) -> str:
    """One of many short calls; some of them do something else."""
    import ray

    note(path, f"{number} {ray.get_runtime_context().get_task_id()}")
    print("call", number)
    if number in special:
        SPECIAL[what](path)
    return os.environ["ANYJOB_JOB_ID"]


def note(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def hold(path: str) -> None:
    while not Path(f"{path}.go").exists():
        time.sleep(0.01)


def hold_on(path: str) -> None:
    while True:
        try:
            hold(path)
        except BaseException:
            continue
        return


def kill(path: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def eat(path: str) -> None:
    """Take more memory than it was to be given, say so, and wait to be ended for that."""
    taken = b"x" * TOO_MUCH
    Path(f"{path}.eater.part").write_text(str(os.getpid()))
    os.rename(f"{path}.eater.part", f"{path}.eater")
    hold(path)
    del taken


TOO_MUCH = 1_000_000_000
SPECIAL = {"hold": hold, "hold on": hold_on, "kill": kill, "eat": eat}


def brief(path: str, number: int) -> int:
    note(path, str(number))
    time.sleep(0.01 * (number % 4))
    return number


def now_and_then_large(number: int) -> bytes:
    return bytes(1_000_000 if number % 10 == 9 else 10)


def submitting(options: dict[str, Any], state: str) -> tuple[str, list[Any]]:
    """Submit jobs from within a job, and wait for them."""
    import anyjob

    config = anyjob.Config.from_dict({"backends": {"ray": options}})
    with anyjob.Session(config=config, state=state) as session:
        backend = session.get_backend("ray")
        jobs = backend.map(abs, [-1, -2, -3])
        return os.environ["ANYJOB_JOB_ID"], [job.result(60) for job in (*jobs, backend.run(sum, jobs))]


def submitting_and_waiting(options: dict[str, Any], state: str, path: str) -> None:
    """Submit a job from within a job that does not end, and say which that is."""
    import anyjob

    config = anyjob.Config.from_dict({"backends": {"ray": options}})
    with anyjob.Session(config=config, state=state) as session:
        job = session.get_backend("ray").run(hold, f"{path}.held")
        Path(f"{path}.part").write_text(job.job_id())
        os.rename(f"{path}.part", path)
        job.result()

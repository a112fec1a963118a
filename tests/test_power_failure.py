"""With ``durability = "full"``, what anybody was told is there after a power failure; nothing runs twice."""

from __future__ import annotations

import collections
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_local import running, until
from support.unsynced_disk import UnsyncedDisk

from anyjob import JobStatus
from anyjob.ledger.file.schema import faults

LARGE = 3 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[UnsyncedDisk]:
    disk = UnsyncedDisk(tmp_path / "disk", tmp_path / "shadow")
    disk.start()
    yield disk
    disk.end()


def said(client: subprocess.Popen[str]) -> list[str]:
    """The words of the next line of a client."""
    assert client.stdout is not None
    return client.stdout.readline().split()


BUSY = """
busy = backend.run(Command(["cat", local.fifo]), cpus=2)
while busy.status() is not JobStatus.RUNNING: pass
"""


def test_all_that_a_queued_job_needs_is_synced_before_the_row_that_names_it(disk: UnsyncedDisk) -> None:
    """The files in their order, by what the processes have asked of the system."""
    client = disk.client(
        BUSY
        + "before = len((Path(os.environ['SHADOW']) / 'log').read_text().splitlines())\n"
        + f"print(before, backend.run(Call(len, (bytes({LARGE}),))).job_id(), flush=True); input()"
    )
    before, job_id = said(client)
    ever = disk.synced()
    synced = ever[int(before) :]
    row = len(synced) - 1 - synced[::-1].index("state/ledger.sqlite-wal")
    spool = f"state/spool/{job_id[:2]}"
    needed = [
        f"{spool}/{job_id}/payload.pkl",
        f"{spool}/{job_id}",
        spool,
        "state/spool",
        "state/env",
        "state",
    ]
    for path in needed:
        assert path in synced[:row], f"{path} is not synced before the row is"
    # The environment is that of the job before, by another name.
    assert any(path.startswith("state/env/") for path in ever[: int(before) + row])


def test_a_start_is_synced_before_the_job_starts(disk: UnsyncedDisk) -> None:
    """It would run a second time if the log of what has started were gone, or its name."""
    client = disk.client(
        "import shutil; log = str(Path(os.environ['SHADOW']) / 'log')\n"
        "print(backend.run(Call(shutil.copy, (log, log + '.then'))).result(60), flush=True); input()"
    )
    assert said(client)
    then = disk.synced("log.then")
    logs = f"state/hosts/{disk.paths.host}"
    assert {logs, "state/hosts", f"{logs}/keeper.log", "state"} <= set(then)


def test_what_was_submitted_runs_with_all_that_it_needs(disk: UnsyncedDisk) -> None:
    client = disk.client(
        BUSY
        + f"jobs = backend.run_many([Call(len, (bytes({LARGE}),)), Call('os:getenv', ('MINE',))])\n"
        + "print(busy.job_id(), *[job.job_id() for job in jobs], flush=True); input()",
        MINE="what I had",
    )
    ids = said(client)
    disk.fail()
    with running(disk.root) as local:
        busy, large, environment = [local.session.get_job(job_id) for job_id in ids]
        assert large.result(60) == LARGE
        assert environment.result(60) == "what I had"
        assert busy.outcome(60).reason == "lost", "it may have run: it is not run again"


def test_what_was_told_of_ends_is_so_afterwards(disk: UnsyncedDisk) -> None:
    client = disk.client(
        "jobs = backend.run_many([Call(abs, (-7,)), Call(bytes, (1 << 20,)), Call(divmod, (1, 0))])\n"
        "wait(jobs); print(*[job.job_id() for job in jobs], flush=True); input()"
    )
    ids = said(client)
    disk.fail()
    with running(disk.root) as local:
        small, large, failed = [local.session.get_job(job_id) for job_id in ids]
        assert (small.result(60), large.result(60)) == (7, bytes(1 << 20))
        with pytest.raises(ZeroDivisionError):
            failed.result(60)


CLIENT = """
from test_power_failure import leave_mark
marks, chance = os.environ["MARKS"], __import__("random").Random(int(os.environ["SEED"]))
while True:
    jobs = backend.run_many([Call(leave_mark, (marks, chance.choice([10, 100_000]))) for _ in range(4)])
    print("submitted", *[job.job_id() for job in jobs], flush=True)
    for job in as_completed(jobs):
        print("ended", job.job_id(), flush=True)
"""


def leave_mark(marks: str, size: int) -> bytes:
    """Say where no power fails that this job has run."""
    with open(marks, "a") as stream:
        stream.write(f"{os.environ['ANYJOB_JOB_ID']}\n")
    return bytes(size)


@pytest.mark.timeout(170)
@pytest.mark.parametrize("seed", range(3))
def test_at_whatever_moment_the_power_fails(disk: UnsyncedDisk, tmp_path: Path, seed: int) -> None:
    marks, chance = tmp_path / "marks", random.Random(seed)
    client = disk.client(CLIENT, MARKS=str(marks), SEED=str(seed))
    told = [said(client) for _ in range(chance.randint(1, 25))]
    until(lambda: len(disk.synced()) > len(told) * 3, "it works")
    disk.fail()
    submitted = {job_id for what, *ids in told if what == "submitted" for job_id in ids}
    ended = {job_id for what, *ids in told if what == "ended" for job_id in ids}
    with running(disk.root) as local:
        assert local.session.ledger.file.write(faults) == []
        for job_id in submitted:
            outcome = local.session.get_job(job_id).outcome(60)
            assert outcome.status is JobStatus.DONE or outcome.reason == "lost"
            assert outcome.status is JobStatus.DONE or job_id not in ended
        for job_id in ended:
            assert set(local.session.get_job(job_id).result(60)) == {0}
    ran = collections.Counter(marks.read_text().split())
    assert max(ran.values()) == 1, "no call has run twice"

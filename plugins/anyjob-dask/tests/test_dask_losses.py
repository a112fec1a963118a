"""Workers that die, schedulers that are started anew, and what becomes of jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import dask_calls
import dask_lab
import pytest
from support.waiting import wait_until
from test_dask_work import PATIENCE

from anyjob import BackendUnavailableError, Call, JobStatus
from conftest import Make

cloudpickle.register_pickle_by_value(dask_calls)
Labs = Callable[..., dask_lab.Lab]


def test_a_job_whose_worker_died_is_not_run_again_unless_it_is_restartable(
    make: Make, own_lab: Labs, tmp_path: Path
) -> None:
    """executorlib#412: never submitted twice."""
    lab = own_lab(("--nthreads", "1"), ("--nthreads", "1"), ("--nthreads", "1"))
    lab.wait()
    backend = make(address=lab.address)
    once, again = tmp_path / "once", tmp_path / "again"
    job = backend.run(Call(dask_calls.note_and_die_once, (str(once),)))
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "node-failure")
    assert "died while it had the job" in outcome.message
    assert once.read_text() == "ran\n"
    restartable = backend.run(Call(dask_calls.note_and_die_once, (str(again),)), restartable=True)
    assert restartable.result(PATIENCE) == "ran\nran\n"


def test_results_that_a_worker_held_are_lost_with_it_and_not_made_anew(
    make: Make, own_lab: Labs, tmp_path: Path
) -> None:
    lab = own_lab(("--nthreads", "2"))
    lab.wait()
    backend = make(address=lab.address)
    runs = tmp_path / "runs"
    large = backend.run(Call(dask_calls.note_and_return, (str(runs), 1_000_000)))
    small = backend.run(Call(dask_calls.note_and_return, (str(runs), 10)))
    jobs = [large.job_id(), small.job_id()]

    def states() -> set[str]:
        found = backend._connection.request("job_states", job_ids=jobs)
        return {each["state"] for each in found.values()}

    wait_until(lambda: states() == {"finished"}, "the end of two jobs that nobody has looked at")
    os.killpg(lab.workers[0].pid, signal.SIGKILL)
    lab.add("--nthreads", "1")
    outcome = large.outcome(PATIENCE)
    assert (outcome.reason, outcome.status) == ("lost", JobStatus.ERROR)
    assert "the worker that held its result died" in outcome.message
    assert small.result(PATIENCE) == b"\0" * 10  # small ones are with the scheduler
    assert runs.read_text() == "ran\nran\n"


def test_a_worker_that_used_too_much_memory_is_told_apart(make: Make, own_lab: Labs) -> None:
    lab = own_lab(("--nanny", "--nthreads", "1", "--memory-limit", "400MB"))
    lab.wait()
    backend = make(address=lab.address, isolation="thread")
    outcome = backend.run(Call(dask_calls.fill_memory, (600_000_000,))).outcome(PATIENCE)
    assert outcome.reason == "memory"
    assert "more memory than it may" in outcome.message


def test_a_scheduler_that_was_started_anew_has_lost_its_jobs(
    make: Make, own_lab: Labs, tmp_path: Path
) -> None:
    lab = own_lab(("--nthreads", "1"))
    lab.wait()
    backend = make(address=lab.address, timeout=1.0)
    backend.grace = 0.2
    job = backend.run(Call(dask_calls.note_and_wait, (str(tmp_path / "runs"), 60)))
    wait_until(job.running, "a call that runs")
    lab.restart()
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "lost")
    lab.add("--nthreads", "1")
    assert backend.run(Call(pow, (2, 5))).result(PATIENCE) == 32


def test_a_scheduler_that_dask_has_reconnected_to_by_itself_gets_our_plugin(
    make: Make, own_lab: Labs, tmp_path: Path
) -> None:
    """Dask answers None where there is no such handler; a job handed to it would be known to nobody."""
    lab = own_lab(("--nthreads", "1"))
    lab.wait()
    backend = make(address=lab.address, timeout=PATIENCE)
    backend.grace = 0.2
    job = backend.run(Call(dask_calls.note_and_wait, (str(tmp_path / "runs"), 60)))
    wait_until(job.running, "a call that runs")
    client = backend._connection._client
    before = client.scheduler_comm
    lab.restart()
    wait_until(
        lambda: client.scheduler_comm not in (None, before) and client.status == "running", "Dask's own"
    )
    with pytest.raises(BackendUnavailableError, match="was started anew"):
        backend.run(Call(pow, (2, 4)))
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "lost")
    lab.add("--nthreads", "1")
    assert backend.run(Call(pow, (2, 5))).result(PATIENCE) == 32


def test_a_request_whose_connection_is_closed_meanwhile_says_so(make: Make, lab: dask_lab.Lab) -> None:
    """Client.sync of Dask has no answer for a call that is cancelled: an UnboundLocalError of its own."""
    connection = make(address=lab.address)._connection
    client = connection.client()
    asked = threading.Event()

    async def wait_for_ever() -> None:
        asked.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor() as threads:
        request = threads.submit(connection._sync, client, wait_for_ever, PATIENCE)
        assert asked.wait(PATIENCE)
        client.close()
        error = request.exception(PATIENCE)
    assert isinstance(error, BackendUnavailableError)
    assert "the connection was closed meanwhile" in str(error)


def test_large_work_for_a_worker_that_was_stopped_is_not_sent_for_ever(make: Make, own_lab: Labs) -> None:
    lab = own_lab(("--nthreads", "1"))
    lab.wait()
    backend = make(address=lab.address, timeout=1.0)
    assert backend.run(Call(pow, (2, 5))).result(PATIENCE) == 32
    os.killpg(lab.workers[0].pid, signal.SIGSTOP)
    try:
        with pytest.raises(BackendUnavailableError, match=r"8\.0 MB did not reach a worker within 9\.0 s"):
            backend.run(Call(len, (bytes(8_000_000),)))
    finally:
        os.killpg(lab.workers[0].pid, signal.SIGCONT)
    assert backend.run(Call(len, (bytes(8_000_000),))).result(PATIENCE) == 8_000_000


def test_a_cluster_whose_certificates_are_asked_for(make: Make, own_lab: Labs, tmp_path: Path) -> None:
    dask_lab.make_certificates(tmp_path)
    files: dict[str, Any] = {
        "ca_file": tmp_path / "ca.pem",
        "cert": tmp_path / "cert.pem",
        "key": tmp_path / "key.pem",
    }
    more = [part for name, path in files.items() for part in (f"--tls-{name.replace('_', '-')}", str(path))]
    lab = own_lab(("--nthreads", "1"), more=("--protocol", "tls", *more))
    assert lab.address.startswith("tls://")
    given = {f"tls_{name}": str(path) for name, path in files.items()}
    backend = make(address=lab.address, **given)
    assert backend.run(Call(pow, (2, 5))).result(PATIENCE) == 32
    backend.close()  # before the cluster: distributed leaves sockets open that have sought it in vain


def test_jobs_on_another_host_outlast_a_network_that_is_away(two_hosts: Any, tmp_path: Path) -> None:
    """A network that is away for a while loses no job, and has none run twice."""
    two_hosts.run(Path(__file__).with_name("dask_hosts.py"), str(tmp_path))

"""Work on a real cluster: large values, logs, resources, and input that makes no sense."""

from __future__ import annotations

import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import dask_calls
import dask_lab
import numpy as np
import pytest
from anyjob_dask import versions
from anyjob_dask.backend import DaskBackend
from anyjob_dask.client.cluster import Cluster
from support.waiting import wait_until

import anyjob
from anyjob import Call, Command, JobStatus
from anyjob.errors import (
    BackendError,
    BackendUnavailableError,
    JobFailedError,
    JobRejectedError,
    SerializationError,
)
from conftest import Make

cloudpickle.register_pickle_by_value(dask_calls)
cloudpickle.register_pickle_by_value(sys.modules[__name__])
PATIENCE = 60.0
MANY = 12_500_000
"""Numbers of 8 bytes: 100 MB."""


def test_where_no_scheduler_is_named_a_cluster_starts_with_the_first_job_and_ends_with_the_backend(
    make: Make,
) -> None:
    backend = make(slots=1)
    assert backend.status().status_msg == "starts with the first job"
    job = backend.run(Call(pow, (2, 5)))
    assert job.result(PATIENCE) == 32
    assert backend.status().status_msg == "1 workers, 1 threads"
    with pytest.raises(JobRejectedError, match="asks for CPU=3, and no worker has that"):
        backend.run(Call(pow, (2, 5)), cpus=3)
    cluster = backend._connection._cluster
    slow = backend.run(Command(["sleep", "300"]))
    wait_until(slow.running, "a program that runs")
    backend.close()
    assert not cluster.is_alive
    with pytest.raises(BackendError, match="closed"):
        backend.run(Call(pow, (2, 5)))


@pytest.mark.parametrize("isolation", ["process", "thread"])
@pytest.mark.parametrize("durable", [True, False])
def test_100_megabytes_pass_and_are_not_in_the_ledger(
    make: Make, local_cluster: Cluster, isolation: str, durable: bool
) -> None:
    backend = make(address=local_cluster.address, durable=durable, isolation=isolation, timeout=60.0)
    array = np.ones(MANY)
    job = backend.run(Call(dask_calls.is_private, (array,)))
    total, is_writable, owns = job.result(PATIENCE)
    assert (total, is_writable) == (MANY, True)
    assert not owns  # its memory is what came over the network, or pages of a file: no copy was made of it
    job = backend.run(Call(np.zeros, (MANY,)))
    first = job.result(PATIENCE)
    first[0] = 1
    assert job.result(PATIENCE)[0] == 0, "a result that was changed has changed the next"
    assert len(job.result()) == MANY
    state = backend.services.ledger.state
    if durable:
        with sqlite3.connect(state / "ledger.sqlite") as ledger:
            ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert (state / "ledger.sqlite").stat().st_size < 1_000_000
    else:
        assert not (state / "ledger.sqlite").exists()


def test_a_large_result_that_is_nobodys_any_more_leaves_the_cluster(
    make: Make, local_cluster: Cluster
) -> None:
    backend = make(address=local_cluster.address, durable=False)
    job = backend.run(Call(bytes, (1_000_000,)))
    assert len(job.result(PATIENCE)) == 1_000_000
    key = job.native_id()
    client = backend._connection.client()
    assert key in client.run_on_scheduler(_keys)
    del job
    wait_until(
        lambda: key not in client.run_on_scheduler(_keys), "the end of a result that nobody can ask for"
    )


def _keys(dask_scheduler: Any = None) -> list[str]:
    return list(dask_scheduler.tasks)


def _has_left(job: Any) -> bool:
    """Whether a job is not in its cluster any more."""
    return job.native_id() not in job.backend()._connection.client().run_on_scheduler(_keys)


def test_what_was_stored_leaves_the_cluster(backend: DaskBackend) -> None:
    jobs = backend.map(abs, range(20))
    assert [job.result(PATIENCE) for job in jobs] == list(range(20))
    client = backend._connection.client()
    mine = {job.native_id() for job in jobs}
    wait_until(
        lambda: not mine & set(client.run_on_scheduler(_keys)), "the release of jobs that are written down"
    )
    with anyjob.Session(anyjob.Config.from_dict({}), state=backend.services.ledger.state) as again:
        assert again.get_job(jobs[3].job_id()).result(0) == 3


def test_what_is_small_leaves_the_cluster_once_all_work_has_ended_and_what_is_large_at_once(
    make: Make, local_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anyjob_dask.client.releases.MAX_DELAY_WHILE_BUSY", 3600.0)
    backend = make(address=local_cluster.address)
    open_job = backend.run(Command(["sleep", "300"]))
    large = backend.run(Call(bytes, (100_000,)))
    assert len(large.result(PATIENCE)) == 100_000
    wait_until(lambda: _has_left(large), "the release of a large result while another job runs")
    small = backend.run(Call(abs, (-1,)))
    assert small.result(PATIENCE) == 1
    assert open_job.cancel()
    assert open_job.outcome(PATIENCE).status is JobStatus.CANCELLED
    wait_until(lambda: _has_left(small), "the release of a small result once nothing runs")


def test_what_is_small_leaves_the_cluster_in_time_while_work_goes_on(
    make: Make, local_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anyjob_dask.client.releases.MAX_DELAY_WHILE_BUSY", 0.6)
    backend = make(address=local_cluster.address)
    open_job = backend.run(Command(["sleep", "300"]))
    small = backend.run(Call(abs, (-1,)))
    assert small.result(PATIENCE) == 1
    wait_until(lambda: _has_left(small), "the release of a small result")
    assert open_job.cancel()


def test_jobs_that_are_not_durable_leave_the_cluster_with_their_client(
    make: Make, local_cluster: Cluster
) -> None:
    lost, other = (make(address=local_cluster.address, durable=False) for _ in range(2))
    ended = lost.run(Call(abs, (-1,)))
    assert ended.result(PATIENCE) == 1
    waits = lost.run(Call(abs, (-1,)), options={"dask": {"workers": ["nobody"]}})
    client = other._connection.client()
    mine = {ended.native_id(), waits.native_id()}
    wait_until(lambda: waits.native_id() in client.run_on_scheduler(_keys), "the arrival of a job that waits")
    lost._connection.client().close()  # as when its process is killed: nothing is said by us
    wait_until(lambda: not mine & set(client.run_on_scheduler(_keys)), "the end of jobs that are nobody's")


def test_a_job_outlives_its_client_and_is_not_submitted_twice(
    anyjob_open: Callable[..., anyjob.Session], lab: dask_lab.Lab, tmp_path: Path
) -> None:
    """executorlib#412, PR#721: a job should outlive its client; a restart submitted it twice."""
    config = {"backends": {"cluster": {"type": "dask", "address": lab.address}}}
    first = anyjob_open(config)
    job_id = (
        first.get_backend("cluster")
        .run(Call(dask_calls.note_and_wait, (str(tmp_path / "runs"), 1.0)))
        .job_id()
    )
    first.close()
    job = anyjob_open(config).get_job(job_id)
    assert job.result(PATIENCE) == "ran\n"
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_a_job_knows_where_it_is(make: Make, local_cluster: Cluster) -> None:
    for isolation in ("process", "thread"):
        backend = make(address=local_cluster.address, durable=False, isolation=isolation)
        job = backend.run(Call(anyjob_id))
        assert job.result(PATIENCE) == job.job_id()


def anyjob_id() -> str:
    from anyjob.sdk import job_environment

    return job_environment()["ANYJOB_JOB_ID"]


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_a_call_has_variables_and_a_directory_of_its_own_and_the_next_has_not(
    make: Make, lab: dask_lab.Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    backend = make(address=lab.address, isolation=isolation)
    monkeypatch.setattr("anyjob_dask.client.submission.submit_directory", lambda: "/of/another/machine")
    asking = Call(dask_calls.surroundings, env={"ONLY_FOR_THIS": "yes"}, cwd=str(tmp_path))
    others = Call(dask_calls.surroundings)
    for job, plain in zip(backend.run_many([asking] * 4), backend.run_many([others] * 4), strict=True):
        variable, directory, process = job.result(PATIENCE)
        assert (variable, directory) == ("yes", str(tmp_path))
        assert process != lab.workers[0].pid
        assert plain.result(PATIENCE)[:2] == (None, str(lab.home))
    failed = backend.run(Call(dask_calls.surroundings, cwd=str(tmp_path / "missing")))
    with pytest.raises(FileNotFoundError, match="missing"):
        failed.result(PATIENCE)
    assert (backend.run(others).result(PATIENCE)[2] == lab.workers[0].pid) == (isolation == "thread")


def test_what_is_printed_while_it_runs_comes_from_the_worker(backend: DaskBackend) -> None:
    job = backend.run(Command(["sh", "-c", "echo begun; sleep 60"]))
    wait_until(lambda: list(job.logs()) == ["begun\n"], "what a program that runs has written")
    wait_until(job.running, "a program that runs")
    assert job.cancel()
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
    assert list(job.logs()) == ["begun\n"]


def test_the_scheduler_may_be_named_by_its_file(make: Make, lab: dask_lab.Lab) -> None:
    assert make(scheduler_file=str(lab.file)).run(Call(pow, (2, 5))).result(PATIENCE) == 32
    with pytest.raises(BackendUnavailableError, match=r"not-there\.json is not there"):
        make(scheduler_file=str(lab.home / "not-there.json")).run(Call(pow, (2, 5)))


def test_no_scheduler_at_the_address_is_said_within_a_bound(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    backend = make(address=address, timeout=0.5)
    with pytest.raises(BackendUnavailableError, match=f"at {address} cannot be reached within 0.5 s"):
        backend.run(Call(pow, (2, 5)))
    status = backend.status()
    assert not status.operational
    assert address in status.status_msg


def test_a_scheduler_of_another_version_is_refused(
    make: Make, lab: dask_lab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = versions.installed()
    monkeypatch.setattr(versions, "installed", lambda: {**there, "distributed": "1.0"})
    words = f"has distributed {there['distributed']}, and here is 1.0.*set check_versions = false"
    with pytest.raises(BackendError, match=words):
        make(address=lab.address).run(Call(pow, (2, 5)))
    assert make(address=lab.address, check_versions=False).run(Call(pow, (2, 5))).result(PATIENCE) == 32


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_a_module_that_the_workers_lack_is_named(make: Make, lab: dask_lab.Lab, isolation: str) -> None:
    backend = make(address=lab.address, isolation=isolation)
    outcome = backend.run(Call("no_such_module_anywhere:function")).outcome(PATIENCE)
    assert outcome.reason == "missing-module"
    assert "no_such_module_anywhere" in outcome.message


def test_an_argument_that_cannot_be_pickled_is_refused(backend: DaskBackend) -> None:
    """executorlib#1057: an argument that cannot be pickled hung everything."""
    with pytest.raises(SerializationError, match=r"argument 0\['lock'\]"):
        backend.run(Call(len, ({"lock": threading.Lock()},)))
    assert backend.run(Call(len, ("abc",))).result(PATIENCE) == 3


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_a_result_that_cannot_be_pickled_is_told(make: Make, lab: dask_lab.Lab, isolation: str) -> None:
    backend = make(address=lab.address, isolation=isolation)
    with pytest.raises(JobFailedError, match="returned a lock that cannot be pickled"):
        backend.run(Call("threading:Lock")).result(PATIENCE)


def test_what_no_worker_has_is_said_while_the_job_waits(backend: DaskBackend, lab: dask_lab.Lab) -> None:
    job = backend.run(Call(pow, (2, 5)), gpus=1)

    def message(job: Any) -> str:
        assert job.status() is JobStatus.QUEUED
        return str(job.metadata()["message"])

    assert "GPU=1" in wait_until(lambda: message(job), "why a job waits")
    licence = backend.run(Call(pow, (2, 5)), options={"dask": {"resources": {"LICENCE": 1}}})
    assert "LICENCE=1" in wait_until(lambda: message(licence), "why a job waits")
    assert job.cancel()
    helper = lab.add("--nthreads", "1", "--resources", "LICENCE=1")
    assert licence.result(PATIENCE) == 32
    helper.terminate()
    helper.wait(PATIENCE)


def test_a_call_that_ends_its_process_fails_alone(backend: DaskBackend) -> None:
    jobs = backend.run_many([Call("os:_exit", (3,)), Call("os:abort"), Call(pow, (2, 5))])
    assert [job.outcome(PATIENCE).reason for job in jobs] == ["exit-code", "signal", None]


def test_a_running_call_in_a_thread_says_that_it_cannot_be_cancelled(
    make: Make, local_cluster: Cluster
) -> None:
    """qiskit-jku-provider#26, qiskit#638: cancel did nothing, or did not say."""
    backend = make(address=local_cluster.address, durable=False, isolation="thread")
    job = backend.run(Call(time.sleep, (0.5,)))
    wait_until(job.running, "a call that runs")
    assert job.cancel() is False
    assert job.outcome(PATIENCE).status is JobStatus.DONE


def test_a_library_that_takes_workers_optimises_on_the_cluster(make: Make, local_cluster: Cluster) -> None:
    from scipy.optimize import differential_evolution, rosen

    backend = make(address=local_cluster.address, durable=False, isolation="thread")
    with anyjob.Executor(backend) as executor:
        found = differential_evolution(
            rosen, [(0, 2), (0, 2)], workers=executor.map, updating="deferred", maxiter=5, popsize=5, rng=1
        )
    assert found.fun < 1.0
    assert len(found.x) == 2


def test_who_begins_to_wait_after_the_end_is_served_at_once(
    backend: DaskBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for interval in ("floor", "ceiling"):  # nobody asks but where the scheduler has told something
        monkeypatch.setattr(backend, interval, 1000.0)
    for _ in range(2):  # the first wait asks by itself
        job = backend.run(Call(abs, (-1,)))
        job_id = job.job_id()
        wait_until(
            lambda job_id=job_id: backend._states.last(job_id).state == "finished", "the scheduler's event"
        )
        assert job.result(PATIENCE) == 1

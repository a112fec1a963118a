"""Jobs on a real Ray, in both modes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import ray_lab
import ray_work
from anyjob_ray.backend import RayBackend

from anyjob import Call, Command, Executor, JobRejectedError, Session
from anyjob.job import JobStatus

pytestmark = pytest.mark.engine("ray")

Make = Callable[..., RayBackend]
PATIENCE = 60.0


def until_there(path: Path, job: Any) -> None:
    """Wait for a file that a job makes."""
    while not path.exists():
        assert not job.in_final_state(), job.outcome()
        time.sleep(0.01)


# --- how jobs end ---------------------------------------------------------------------------------


def test_a_call_that_is_cancelled_cleans_up(backend: RayBackend, tmp_path: Path) -> None:
    """dask-jobqueue#640, executorlib#1049: graceful cancel; SIGTERM skipped clean-up."""
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"
    job = backend.run(Call(ray_work.clean_up, (str(begun), str(cleaned))))
    until_there(begun, job)
    assert job.cancel()
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
    assert cleaned.exists()


@pytest.mark.parametrize("how", ["cancel", "walltime"])
def test_a_call_that_will_not_end_is_killed_with_what_it_started(
    make: Make, tmp_path: Path, how: str
) -> None:
    """qiskit-jku-provider#26, qiskit#638: cancel did nothing, or did not say."""
    mark = tmp_path / "child"
    more = {"walltime": 4} if how == "walltime" else {}
    backend = make(grace=0.5)
    job = backend.run(Call(ray_work.stubborn, (str(mark),)), **more)
    until_there(mark, job)
    assert how == "walltime" or job.cancel()
    outcome = job.outcome(PATIENCE)
    ended = JobStatus.CANCELLED if how == "cancel" else JobStatus.ERROR
    assert (outcome.status, outcome.reason) == (ended, None if how == "cancel" else "walltime")
    assert not _runs(int(mark.read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_worker_that_dies_is_told_and_nothing_runs_twice(backend: RayBackend, tmp_path: Path) -> None:
    """executorlib#412, PR#721: never submitted twice."""
    mark = tmp_path / "runs"
    job = backend.run(Call(ray_work.die, (str(mark), 1)))
    while not job.running():  # then it is known where it writes
        assert not job.in_final_state(), job.outcome()
        time.sleep(0.01)
    Path(f"{mark}.go").touch()
    outcome = job.outcome(PATIENCE)
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "signal")
    assert "worker process" in outcome.message
    assert mark.read_text().split() == ["run"]
    assert list(job.logs()) == ["the last words\n"]


def test_what_is_restartable_runs_again(backend: RayBackend, tmp_path: Path) -> None:
    mark = tmp_path / "runs"
    Path(f"{mark}.go").touch()
    job = backend.run(Call(ray_work.die, (str(mark), 1)), restartable=True)
    assert job.result(PATIENCE) == "survived"
    assert mark.read_text().split() == ["run", "run"]


def test_a_function_whose_module_the_workers_lack_is_told(
    backend: RayBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("only_here")
    exec("def function(): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    job = backend.run(Call(module.function))
    outcome = job.outcome(PATIENCE)
    assert outcome.reason == "missing-module"
    assert "'only_here'" in outcome.message


@pytest.mark.parametrize("resources", [{"cpus": 1000}, {"gpus": 7}, {"nodes": 2}, {"memory": "900TiB"}])
def test_what_no_worker_has_is_rejected_at_once(backend: RayBackend, resources: dict[str, Any]) -> None:
    with pytest.raises(JobRejectedError, match=r"no node of the cluster has|runs on one node"):
        backend.run(Call(abs, (1,)), **resources)


def test_a_job_gets_the_custom_resources_that_it_asks_for(backend: RayBackend) -> None:
    with pytest.raises(JobRejectedError, match="1 tpu"):
        backend.run(Call(abs, (1,)), options={"ray": {"resources": {"tpu": 1}}})


def test_jobs_run_in_the_runtime_env(make: Make, mode: str) -> None:
    backend = make(mode=mode, runtime_env={"env_vars": {"ONLY_FOR_JOBS": "said"}})
    assert backend.run(Call(ray_work.variable)).result(PATIENCE) == "said"


# --- what is large --------------------------------------------------------------------------------

SIZE = 20_000_000


def test_large_arguments_and_results_are_not_in_the_ledger(make: Make, mode: str, tmp_path: Path) -> None:
    """qiskit-ibm-runtime#1691, #1205: filling memory."""
    given = numpy.arange(SIZE // 8, dtype=float)
    job = make(mode=mode).run(Call(numpy.negative, (given,)))
    for _ in range(2):
        assert numpy.array_equal(job.result(PATIENCE), -given)
    kept = sum(path.stat().st_size for path in (tmp_path / "state").glob("*") if path.is_file())
    assert kept < SIZE / 10
    assert not isinstance(job.outcome().value, bytes)


def test_a_large_result_is_not_copied_in_the_fast_mode(make: Make) -> None:
    job = make().run(Call(numpy.zeros, (SIZE // 8,)))
    one, other = job.result(PATIENCE), job.result(PATIENCE)
    assert one is not other
    assert numpy.shares_memory(one, other)
    assert not one.flags.writeable


def test_much_output_is_read_to_its_end(backend: RayBackend) -> None:
    job = backend.run(Command(["seq", "200000"]))
    lines = list(job.logs(follow=True))
    assert lines[-1] == "200000\n"
    assert len(lines) == 200_000
    assert job.result(PATIENCE).stdout.text().count("\n") == 200_000


# --- the connection -------------------------------------------------------------------------------


def test_a_connection_of_the_program_is_used_and_left(
    anyjob_open: Callable[..., Session], connected: ray_lab.Cluster
) -> None:
    import ray

    session = anyjob_open({"backends": {"cluster": {"type": "ray", "address": connected.address}}})
    assert session.get_backend("cluster").run(Call(abs, (-1,))).result(PATIENCE) == 1
    session.close()
    assert ray.is_initialized()


def test_a_second_cluster_in_one_process_is_refused(make: Make) -> None:
    from anyjob import BackendError

    with pytest.raises(BackendError, match="one cluster a process"):
        make(address="127.0.0.1:9").run(Call(abs, (1,)))


PROGRAM = """
from anyjob import Call, Config, Session
options = {{"type": "ray", "address": {address!r}, "mode": {mode!r}}}
with Session(Config.from_dict({{"backends": {{"cluster": options}}}}), state={state!r}) as session:
    job = session.get_backend("cluster").run(Call(print, ("written by the job",)))
    assert job.result(60) is None
    assert list(job.logs()) == ["written by the job\\n"]
    import ray
    assert ray.is_initialized()
assert not ray.is_initialized()
"""


def test_what_a_backend_connects_it_disconnects_and_ray_says_nothing(
    cluster: ray_lab.Cluster, mode: str, tmp_path: Path
) -> None:
    program = PROGRAM.format(address=cluster.address, mode=mode, state=str(tmp_path / "state"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    "program",
    [
        pytest.param("ray_node_loss.py", id="a node, and the cluster, that are lost"),
        pytest.param("ray_out_of_memory.py", id="the memory of a node"),
    ],
)
def test_what_befalls_a_cluster_of_its_own_is_told(program: str, tmp_path: Path) -> None:
    """qiskit-aqt-provider#274, qiskit-aqua#752: a transient error while polling ended the wait."""
    path = Path(__file__).with_name(program)
    done = subprocess.run(
        [sys.executable, str(path), str(tmp_path)], capture_output=True, text=True, timeout=450
    )
    if done.returncode == ray_lab.SKIPPED:
        pytest.skip(done.stdout)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_jobs_on_another_host_tell_of_their_ends_and_outlast_a_network_that_is_away(
    two_hosts: Any, tmp_path: Path
) -> None:
    """A network that is away for a while loses no job, and has none run twice."""
    two_hosts.run(Path(__file__).with_name("ray_hosts.py"), str(tmp_path))


# --- a library that takes an executor -------------------------------------------------------------


def test_a_library_that_takes_an_executor_computes_on_ray(backend: RayBackend) -> None:
    import dask

    total = dask.delayed(sum)([dask.delayed(pow)(number, 2) for number in range(10)])
    where = dask.delayed(os.getpid)()
    value, pid = dask.compute(total, where, scheduler=Executor(backend))
    assert value == 285
    assert pid != os.getpid()

"""What needs no cluster: options, what a job asks for, what Ray's exceptions mean, and addresses."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from anyjob_ray.options import RayJobOptions, RayOptions
from anyjob_ray.payload import Packer
from anyjob_ray.results import load_outcome
from anyjob_ray.task_options import task_options, why_infeasible
from anyjob_ray.tasks.failures import REASONS, bereft_outcome, broken_outcome, failed_outcome
from anyjob_ray.tasks.nodes import resource_demand
from anyjob_ray.worker.monitor import Monitor
from anyjob_ray.worker.reports.result import LARGE, dump_out_of_band
from hypothesis import given
from hypothesis import strategies as st

from anyjob import Call, Config, ConfigError, Resources, Session
from anyjob.orders import Order
from anyjob.sdk import runner

NO_JOB_OPTIONS = RayJobOptions()


def session(tmp_path: Path, **options: object) -> Session:
    config = Config.from_dict({"backends": {"cluster": {"type": "ray", **options}}})
    return Session(config, state=tmp_path / "state")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"mode": "durable", "address": "local"}, "ends with this process"),
        ({"address": ""}, "address is empty"),
        ({"mode": "slow"}, "mode"),
        ({"timeout": 0}, "timeout"),
        ({"adress": "auto"}, "did you mean 'address'"),
    ],
)
def test_options_that_make_no_sense_are_refused_and_said(
    tmp_path: Path, options: dict[str, object], part: str
) -> None:
    with session(tmp_path, **options) as made, pytest.raises(ConfigError, match=part):
        made.get_backend("cluster")


def test_neither_import_nor_listing_nor_making_a_backend_imports_ray(tmp_path: Path) -> None:
    """qiskit-ibm-provider#555: a constructor took 30 s."""
    program = f"""
import sys, anyjob
from anyjob import Config, Registry, Session
registry = Registry()
assert "ray" in [each.name for each in registry.listing("anyjob.backends")]
config = Config.from_dict({{"backends": {{"r": {{"type": "ray", "address": "ray://nowhere.invalid:1"}}}}}})
with Session(config, state={str(tmp_path)!r}) as session:
    backend = session.get_backend("r")
    print(backend, backend.status().status_msg, backend.jobs())
assert "ray" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "not connected yet" in done.stdout


def test_the_mode_decides_whether_jobs_are_durable(tmp_path: Path) -> None:
    with session(tmp_path) as made:
        assert not made.get_backend("cluster").capabilities.durable
    with session(tmp_path, mode="durable") as made:
        assert made.get_backend("cluster").capabilities.durable


# --- addresses ------------------------------------------------------------------------------------


def test_an_address_at_which_there_is_no_cluster_is_said(tmp_path: Path) -> None:
    """In a process that is connected to none: the tests' own may be."""
    program = Path(__file__).with_name("ray_no_cluster.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


SHADOWED = """
import sys
import anyjob
from anyjob import Call, Config, Session
with Session(Config.from_dict({"backends": {"cluster": {"type": "ray"}}}), state=sys.argv[1]) as session:
    try:
        session.get_backend("cluster").run(Call(abs, (-1,)))
    except anyjob.BackendError as error:
        print(error)
    print(session.jobs())
"""


@pytest.mark.parametrize(
    ("program", "hiding"),
    [
        pytest.param("ray.py", "ray.py", id="the program"),
        pytest.param("program.py", "ray.py", id="a module"),
        pytest.param("program.py", "ray/__init__.py", id="a package"),
    ],
)
def test_what_hides_the_library_is_named_and_not_imported(tmp_path: Path, program: str, hiding: str) -> None:
    """A program that is called ray.py was run once more by its own import, and hung."""
    (tmp_path / hiding).parent.mkdir(exist_ok=True)
    (tmp_path / hiding).write_text("raise SystemExit('it was imported')")
    (tmp_path / program).write_text(SHADOWED)
    command = [sys.executable, str(tmp_path / program), str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    said, jobs = done.stdout.splitlines()
    assert f"`import ray` gives {tmp_path / hiding}, which hides the library Ray" in said
    assert jobs == "[]"


def test_a_version_mismatch_says_both_versions() -> None:
    from anyjob_ray.connection import _in_our_words

    told = RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n    Python: 3.10.1")
    error = _in_our_words(told, RayOptions(address="10.0.0.1:6379"), "cluster")
    assert "must be of one version" in str(error)
    assert "2.9.0" in str(error)
    assert "10.0.0.1:6379" in str(error)


# --- what a job asks for --------------------------------------------------------------------------


def test_resources_become_options_of_a_task() -> None:
    resources = Resources(cpus=2, gpus=0.5, memory="1GiB", name="fit", needs={"tpu": 1})  # type: ignore[arg-type]
    made = task_options(resources, RayJobOptions(resources={"fast": 1}), RayOptions(), with_runtime_env=True)
    assert made == {
        "num_cpus": 2,
        "num_gpus": 0.5,
        "memory": 2**30,
        "name": "fit",
        "resources": {"tpu": 1, "fast": 1},
        "max_retries": 0,
        "retry_exceptions": False,
    }
    assert resource_demand(made) == {"CPU": 2, "GPU": 0.5, "memory": 2**30, "tpu": 1, "fast": 1}


def test_only_what_may_run_twice_is_retried() -> None:
    """executorlib#412, PR#721: a restart submitted it twice."""
    options = RayOptions()
    assert task_options(Resources(), NO_JOB_OPTIONS, options, with_runtime_env=True)["max_retries"] == 0
    assert (
        task_options(Resources(restartable=True), NO_JOB_OPTIONS, options, with_runtime_env=True)[
            "max_retries"
        ]
        == 3
    )
    given = RayJobOptions(max_retries=7)
    assert task_options(Resources(), given, options, with_runtime_env=True)["max_retries"] == 7


def test_a_runtime_env_goes_with_the_task_where_the_connection_has_none() -> None:
    options = RayOptions(runtime_env={"env_vars": {"A": "b"}})
    made = task_options(Resources(), NO_JOB_OPTIONS, options, with_runtime_env=True)
    assert made["runtime_env"] == {"env_vars": {"A": "b"}}
    assert "runtime_env" not in task_options(Resources(), NO_JOB_OPTIONS, options, with_runtime_env=False)


NODES = [
    {"Alive": True, "Resources": {"CPU": 4, "memory": 100}},
    {"Alive": True, "Resources": {"CPU": 2, "GPU": 1, "memory": 2**29}},
    {"Alive": False, "Resources": {"CPU": 64}},
]


@pytest.mark.parametrize(
    ("demand", "part"),
    [
        ({"CPU": 4}, ""),
        ({"CPU": 2, "GPU": 1}, ""),
        ({"CPU": 5}, "5 cpus (the most that a node has is 4)"),
        ({"CPU": 3, "GPU": 1}, "no single one has all of it"),
        ({"tpu": 1}, "1 tpu (the most that a node has is 0)"),
        ({"memory": 2**40}, "1024 GiB of memory (the most that a node has is 0.5)"),
    ],
)
def test_what_no_node_has_is_said(demand: dict[str, float], part: str) -> None:
    why = why_infeasible(Resources(), demand, NODES)
    assert part in why
    assert bool(why) is bool(part)


def test_a_task_runs_on_one_node() -> None:
    assert "asks for 2" in why_infeasible(Resources(nodes=2), {"CPU": 1}, NODES)


@given(
    st.dictionaries(st.sampled_from(["CPU", "GPU", "memory", "x"]), st.floats(0.1, 10)),
    st.lists(st.dictionaries(st.sampled_from(["CPU", "GPU", "memory", "x"]), st.floats(0, 10)), max_size=4),
)
def test_a_job_is_refused_if_no_node_fits(demand: dict[str, float], nodes: list[dict[str, float]]) -> None:
    fits = any(all(node.get(name, 0) >= amount for name, amount in demand.items()) for node in nodes)
    why = why_infeasible(Resources(), demand, [{"Alive": True, "Resources": node} for node in nodes])
    assert bool(why) is not fits


# --- what Ray's exceptions mean -------------------------------------------------------------------


def test_each_reason_is_one_of_ours_and_of_an_exception_that_ray_has() -> None:
    import ray.exceptions

    ours = {"exit-code", "exception", "signal", "walltime", "memory", "node-failure", "lost", "rejected"}
    assert set(REASONS.values()) <= ours
    for name in ("OutOfMemoryError", "WorkerCrashedError", "NodeDiedError", "RuntimeEnvSetupError"):
        assert hasattr(ray.exceptions, name)
        assert name in REASONS


def test_an_out_of_memory_kill_has_its_reason() -> None:
    """ibmq-provider#390: poor failure messages."""
    from ray.exceptions import OutOfMemoryError

    outcome = failed_outcome(OutOfMemoryError("Task was killed due to the node running low on memory."))
    assert (outcome["status"], outcome["reason"]) == ("ERROR", "memory")
    assert "running low on memory" in outcome["message"]


def test_a_cancelled_task_is_cancelled() -> None:
    from ray.exceptions import TaskCancelledError, WorkerCrashedError

    assert failed_outcome(TaskCancelledError())["status"] == "CANCELLED"
    assert failed_outcome(WorkerCrashedError(), "cancelled")["status"] == "CANCELLED"
    killed = failed_outcome(WorkerCrashedError(), "walltime", 2.0)
    assert (killed["status"], killed["reason"]) == ("ERROR", "walltime")
    assert "2 s" in killed["message"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_result_that_ray_has_lost_is_told_by_the_job_that_made_it(durable: bool) -> None:
    from ray import ObjectRef
    from ray.exceptions import ObjectReconstructionFailedError, OwnerDiedError, RayTaskError

    taken = {name: ObjectRef(bytes([number] * ObjectRef.size())) for number, name in enumerate(("a1", "b2"))}
    lost = taken["b2"].hex()
    for kind in (ObjectReconstructionFailedError, OwnerDiedError):
        error = RayTaskError("run_job", "…", kind(lost, b"", ""))
        outcome = bereft_outcome(error, taken, durable)
        assert outcome is not None
        further = broken_outcome("c3", pickle.dumps(outcome))
        assert further is not None
        for told in (outcome, pickle.loads(further)):
            assert (told["status"], told["reason"], told["lost_result"]) == ("ERROR", "dependency", "b2")
            assert told["message"].startswith(runner.RESULT_LOST.format("b2"))
        assert ("'anyjob rerun --downstream b2'" in outcome["message"]) is durable
    assert bereft_outcome(error, {"a1": taken["a1"]}, durable) is None, "its own result"
    assert bereft_outcome(RuntimeError("something new"), taken, durable) is None


def test_what_ray_alone_knows_is_told_in_its_words() -> None:
    outcome = failed_outcome(RuntimeError("something new"))
    assert outcome["reason"] == "exception"
    assert "something new" in outcome["message"]


# --- what goes to a worker and comes back ---------------------------------------------------------


@given(st.recursive(st.none() | st.integers() | st.text() | st.binary(), st.lists))
def test_small_values_are_pickled_whole(value: object) -> None:
    blob, buffers = dump_out_of_band(value)
    assert buffers == []
    assert pickle.loads(blob) == value


def test_large_arrays_stay_apart_and_are_not_copied() -> None:
    import numpy

    array = numpy.zeros(LARGE)
    blob, buffers = dump_out_of_band({"array": array})
    assert len(blob) < 1000
    assert numpy.shares_memory(pickle.loads(blob, buffers=buffers)["array"], array)


def test_calls_of_one_launch_share_the_pickled_function() -> None:
    calls: list[str] = []

    class Function:
        def __reduce__(self) -> tuple[object, ...]:
            calls.append("pickled")
            return int, ()

        def __call__(self, number: int) -> int:
            return number

    function, packer = Function(), Packer("namespace", "event actor")
    pickled = 0
    for number in range(3):
        order = Order(
            job_id=str(number), spec=Call(function, (number,)), resources=Resources(), environment={}
        )
        packer.pack(order)
        pickled = pickled or len(calls)
    assert len(calls) == pickled


def test_what_a_worker_has_pickled_is_read() -> None:
    fields = {"status": "DONE", "value": pickle.dumps(42), "written": (b"out", b"")}
    outcome, written = load_outcome(pickle.dumps(fields))
    assert outcome.status.name == "DONE"
    assert pickle.loads(outcome.value) == 42
    assert written == (b"out", b"")


def test_the_walltime_of_a_call_of_a_batch_is_kept_while_the_event_actor_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others of its batch were cancelled, which that actor is asked: each such question failed."""
    import ray

    def get_actor(*_: object, **__: object) -> None:
        raise ValueError("there is no such actor")

    monkeypatch.setattr(ray, "get_actor", get_actor)
    told, over = threading.Event(), threading.Event()

    class Signals:
        def wait(self, timeout: float | None) -> bool:
            return not over.wait() if told.is_set() else True

        def drain(self) -> bytes:
            return b""

        def wake_main_thread(self) -> None:
            told.set()

    context = SimpleNamespace(grace=1000.0, event_actor="events", namespace="here")
    job = SimpleNamespace(
        job_id="a", context=context, pickled_context=b"", walltime=0.0, began=time.monotonic() - 1,
        end_reason="", kill_at=None, reported=True,
    )  # fmt: skip
    batch = SimpleNamespace(cancel_requested=True, cancelled=set(), jobs=[("a", b""), ("b", b"")])
    Monitor(cast(Any, SimpleNamespace(job=job, batch=batch)), cast(Any, Signals()))
    assert told.wait(60)
    assert job.end_reason == "walltime"

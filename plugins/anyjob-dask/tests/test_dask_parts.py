"""What needs no cluster: keys, resources, versions, options, serialization."""

from __future__ import annotations

import asyncio
import pickle
import resource
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from anyjob_dask import keys, worker_resources
from anyjob_dask.backend import DaskBackend
from anyjob_dask.client.releases import ReleaseQueue
from anyjob_dask.messages import SMALL, JobResult
from anyjob_dask.scheduler.scheduler_plugin import JobSchedulerPlugin
from anyjob_dask.serialization import Serialized, load_file, serialize
from anyjob_dask.versions import mismatch
from anyjob_dask.worker.capture import Capture
from hypothesis import given
from hypothesis import strategies as st

from anyjob import Call, Command, ConfigError
from anyjob.resources import Resources

job_ids = st.text("0123456789abcdef", min_size=20, max_size=20)


@given(st.text(min_size=1).filter(lambda text: "\0" not in text), job_ids, st.booleans(), st.booleans())
def test_a_key_says_whose_it_is_whatever_is_run(
    name: str, job_id: str, durable: bool, restartable: bool
) -> None:
    for spec in (Command(["/bin/" + name.encode("utf-8", "ignore").decode() + "x"]), Call(abs)):
        key = keys.key_of(spec, job_id, durable=durable, restartable=restartable)
        assert keys.parse(key) == (job_id, durable, restartable)


@given(st.one_of(st.text(), st.tuples(st.text(), st.integers()), st.integers()))
def test_other_keys_are_not_ours(key: Any) -> None:
    assert keys.parse(key) is None


def test_a_key_begins_with_what_is_run() -> None:
    ids = "0" * 20
    assert keys.key_of(Call(abs), ids, durable=False, restartable=False) == f"abs-{ids}."
    assert keys.key_of(Call("os.path:join"), ids, durable=True, restartable=True) == f"join-{ids}.dr"
    command = Command(["/usr/bin/my prog", "x"])
    assert keys.key_of(command, ids, durable=True, restartable=False) == f"my_prog-{ids}.d"
    assert keys.key_of(Call(lambda: 0), ids, durable=False, restartable=True) == f"lambda-{ids}.r"


def test_what_workers_were_not_told_of_does_not_count() -> None:
    resources = Resources(cpus=2, memory=1 << 30)
    assert worker_resources.required(resources, {}, []) == {}
    assert worker_resources.required(resources, {}, ["CPU", "LICENCE"]) == {"CPU": 2.0}
    assert worker_resources.required(resources, {"LICENCE": 1}, ["MEMORY"]) == {
        "MEMORY": float(1 << 30),
        "LICENCE": 1.0,
    }
    assert worker_resources.required(Resources(gpus=1), {}, []) == {"GPU": 1.0}
    shared = Resources(gpus=0.5, needs={"LICENCE": 2})
    assert worker_resources.required(shared, {"DISK": 1}, []) == {"GPU": 0.5, "LICENCE": 2.0, "DISK": 1.0}


def test_what_no_worker_has_is_said() -> None:
    assert worker_resources.missing({}, []) == ""
    assert worker_resources.missing({"GPU": 1}, [{}, {"GPU": 2}]) == ""
    words = worker_resources.missing({"GPU": 1, "CPU": 8}, [{"GPU": 1, "CPU": 4}, {"CPU": 8}])
    assert words == "it asks for GPU=1, CPU=8, and no worker has that (the most of each: GPU=1, CPU=8)"


def test_versions_must_fit() -> None:
    here = {"python": "3.11.7.final.0", "distributed": "2024.8.0"}
    assert mismatch(here, [{"python": "3.11.2.final.0", "distributed": "2024.8.0"}, {}]) == ""
    words = mismatch(here, [{"python": "3.12.1.final.0", "distributed": "2024.9.0"}])
    assert "has python 3.12.1.final.0, and here is 3.11.7.final.0" in words
    assert "has distributed 2024.9.0, and here is 2024.8.0" in words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"address": "tcp://a:1", "scheduler_file": "b"}, "give one of them"),
        ({"durable": True}, "needs the address of a scheduler"),
        ({"address": "tcp://a:1", "slots": 2}, "of a cluster that is started here"),
        ({"tls_key": "k"}, "TLS is for a scheduler that is named"),
        ({"isolation": "none"}, "isolation"),
        ({"adress": "tcp://a:1"}, "address"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DaskBackend.from_options("mine", options)


def test_what_it_can_depends_on_its_options() -> None:
    def can(**options: Any) -> Any:
        return DaskBackend.from_options("mine", options).capabilities

    assert not can().durable
    assert can().shared_files
    assert can(address="tcp://a:1").durable
    assert not can(address="tcp://a:1").shared_files
    assert not can(address="tcp://a:1", durable=False).durable
    assert can().cancel_running
    assert not can(isolation="thread").cancel_running
    assert not can().may_run_twice


@given(st.recursive(st.none() | st.binary() | st.text(), lambda inner: st.lists(inner) | st.tuples(inner)))
def test_a_value_is_serialized_and_read_back(value: Any) -> None:
    serialized = serialize(value)
    assert serialized.load() == value
    assert pickle.loads(pickle.dumps(serialized, 4)).load() == value


def test_large_buffers_are_not_copied() -> None:
    array = np.arange(1_000_000)
    serialized = serialize(["head", array])
    assert len(serialized.blob) < 1000
    assert np.shares_memory(serialized.load()[1], array)
    buffers: list[pickle.PickleBuffer] = []
    blob = pickle.dumps(serialized, 5, buffer_callback=buffers.append)
    assert len(blob) < 2000
    assert np.shares_memory(pickle.loads(blob, buffers=buffers).load()[1], array)


def test_what_cannot_be_written_is_not_left_half(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            serialize(np.zeros(1000)).write(tmp_path / "value")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_value_in_a_file_is_a_fresh_copy_each_time(tmp_path: Path) -> None:
    array = np.arange(100_000)
    path = tmp_path / "value"
    serialize({"a": array}).write(path)
    first = load_file(str(path))
    first["a"][:] = 0  # it can be changed, and that changes nothing else
    assert (load_file(str(path))["a"] == array).all()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="holds no value that anyjob has written"):
        Serialized.from_file(path)


def test_only_what_is_small_goes_by_way_of_the_scheduler() -> None:
    small = JobResult({"status": "DONE"}, serialize(7), {"stdout": b"a\n"})
    data = small.to_small_bytes()
    assert data is not None
    again = JobResult.from_bytes(data)
    assert (again.fields, again.logs) == (small.fields, small.logs)
    assert again.value is not None
    assert again.value.load() == 7
    assert JobResult({"status": "DONE"}, serialize("x" * SMALL), {}).to_small_bytes() is None
    assert JobResult({"status": "DONE"}, None, {"stderr": b"x" * SMALL}).to_small_bytes() is None


def test_what_threads_print_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("stdout", "stderr"):  # they are given back after the test
        monkeypatch.setattr(sys, stream, getattr(sys, stream))
    both = threading.Barrier(2)
    captures = Capture(), Capture()

    def prints(capture: Capture, text: str) -> None:
        with capture:
            both.wait(10)
            print(text)
            print(text.upper(), file=sys.stderr)
            both.wait(10)

    threads = [
        threading.Thread(target=prints, args=pair) for pair in zip(captures, ("one", "two"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [capture.tails(100) for capture in captures] == [
        {"stdout": b"one\n", "stderr": b"ONE\n"},
        {"stdout": b"two\n", "stderr": b"TWO\n"},
    ]
    assert captures[0].tails(2) == {"stdout": b"e\n", "stderr": b"E\n"}
    assert captures[0].read("stdout", 1) == b"ne\n"


def test_a_job_that_arrives_just_as_it_is_asked_for_is_not_missed() -> None:
    """Found by chance: a launch took as long as the scheduler may take to answer, once in a hundred."""
    scheduler: Any = SimpleNamespace(handlers={}, stream_handlers={})

    async def ask() -> dict[str, Any]:
        plugin = JobSchedulerPlugin()
        await plugin.start(scheduler)
        asked = asyncio.ensure_future(plugin.job_states(["job"], "client", arrival_timeout=60.0))
        asyncio.get_running_loop().call_soon(arrives, plugin)
        return await asyncio.wait_for(asked, 20.0)

    def arrives(plugin: JobSchedulerPlugin) -> None:
        plugin.jobs.keys["job"], plugin.jobs.results["job"] = "key", ("key", b"")
        plugin.update_graph(scheduler, client="client", keys=[])

    assert asyncio.run(ask())["job"]["state"] == "finished"


def test_releases_are_scheduled_once_and_anew_by_a_connection_that_was_made_anew() -> None:
    scheduled: list[Any] = []
    connection: Any = SimpleNamespace(generation=1, call_later=lambda seconds, call: scheduled.append(call))
    open_ids = ["b"]
    releases = ReleaseQueue(connection, lambda: open_ids)
    releases.add("a")
    releases.add("b")
    assert len(scheduled) == 1
    connection.generation = 2  # the event loop of the connection before has gone
    releases.add("c")
    assert len(scheduled) == 2
    assert releases.take() == ["a", "c"]
    open_ids.clear()
    assert releases.take() == ["b"]

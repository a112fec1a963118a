"""How short jobs are put in batches, what is kept of them, and how ends are heard of: without a cluster."""

from __future__ import annotations

import os
import pickle
import queue
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyjob_ray.modes.notification_listener import NotificationListener
from anyjob_ray.tasks.launch_queue import GROWTH, MAX_BYTES, MAX_JOBS, TASKS_PER_SLOT, LaunchQueue, PackedJob
from anyjob_ray.tasks.nodes import task_slots
from anyjob_ray.worker.batch import CANCELLED, Batch, BatchResult, load_batch_result
from anyjob_ray.worker.journal import Journal, journal_path, parse_journal, pop_journal
from anyjob_ray.worker.reports.notification import MAX_SIZE, SIGNATURE_SIZE, NotifyAddress, notify
from hypothesis import given
from hypothesis import strategies as st

TASK_OPTIONS = {"num_cpus": 1, "max_retries": 0}
DURATION = 0.02
PATIENCE = 20.0


def jobs(count: int, size: int = 10) -> list[PackedJob]:
    return [(str(number), bytes(size), [], {}) for number in range(count)]


def result(ran: int, seconds: float, *, large: int | None = None, journaled: bool = True) -> BatchResult:
    return BatchResult(dict.fromkeys(range(ran), b""), [], large, seconds, journaled)


def anything(job_id: str) -> bool:
    return True


# --- how many a task runs -------------------------------------------------------------------------


@pytest.fixture
def launch_queue() -> LaunchQueue:
    """The jobs of a launch, none of which was run."""
    made = LaunchQueue(TASK_OPTIONS, DURATION)
    made.pending.extend(jobs(1000))
    return made


def test_the_first_go_one_by_one_and_no_more_than_keep_the_cluster_busy(launch_queue: LaunchQueue) -> None:
    taken = []
    while some := launch_queue.next_batch(4, anything):
        taken.append(some)
        launch_queue.submitted_tasks += 1
    assert [len(some) for some in taken] == [1] * (TASKS_PER_SLOT * 4 + TASKS_PER_SLOT)


def test_a_batch_grows_to_what_fits_into_its_time(launch_queue: LaunchQueue) -> None:
    sizes = [1]
    for _ in range(6):
        launch_queue.adapt_batch_size(result(sizes[-1], sizes[-1] * DURATION / 20))
        sizes.append(len(launch_queue.next_batch(4, anything)))
    assert sizes == [1, GROWTH, GROWTH**2, 20, 20, 20, 20]


def test_long_calls_large_values_dead_workers_and_full_disks_end_batches(launch_queue: LaunchQueue) -> None:
    for end in (
        lambda: launch_queue.adapt_batch_size(result(4, 4 * DURATION)),
        lambda: launch_queue.reset_batch_size(),
        lambda: launch_queue.adapt_batch_size(result(4, 1e-9, large=4)),
        lambda: launch_queue.adapt_batch_size(result(4, 1e-9, journaled=False)),
    ):
        launch_queue.adapt_batch_size(result(4, 1e-9))
        end()
        assert len(launch_queue.next_batch(4, anything)) == 1
    launch_queue.adapt_batch_size(result(1, 1e-9))
    assert len(launch_queue.next_batch(4, anything)) == 1, (
        "without a journal, or with large values, there is none"
    )


@given(st.integers(1, 300), st.integers(1, 50), st.integers(1, 40_000))
def test_no_call_is_taken_twice_or_left_and_none_beyond_the_bounds(
    count: int, places: int, size: int
) -> None:
    launch_queue = LaunchQueue(TASK_OPTIONS, DURATION)
    given_out = jobs(count, size)
    launch_queue.pending.extend(given_out)
    taken = []
    while some := launch_queue.next_batch(places, anything):
        assert len(some) <= MAX_JOBS
        assert len(some) == 1 or sum(len(job[1]) for job in some) <= MAX_BYTES
        taken += some
        launch_queue.adapt_batch_size(result(len(some), 1e-9))
    assert taken == given_out


def test_those_that_are_not_wanted_any_more_are_passed_over(launch_queue: LaunchQueue) -> None:
    launch_queue.adapt_batch_size(result(4, 1e-9))
    taken = launch_queue.next_batch(2, lambda job_id: int(job_id) % 2 == 1)
    assert [job[0] for job in taken] == ["1", "3", "5", "7"]


def test_the_last_calls_are_shared_out() -> None:
    launch_queue = LaunchQueue(TASK_OPTIONS, DURATION)
    launch_queue.pending.extend(jobs(16))
    for _ in range(9):
        launch_queue.adapt_batch_size(result(100, 1e-9))
    assert len(launch_queue.next_batch(2, anything)) == 4


@pytest.mark.parametrize(
    ("task_options", "count"),
    [
        ({"num_cpus": 2}, 5),
        ({"num_cpus": 0}, 11),
        ({"num_cpus": 1, "num_gpus": 1}, 2),
        ({"num_cpus": 1, "resources": {"tpu": 1}}, 1),
    ],
)
def test_places_are_those_of_the_nodes_that_are_alive(task_options: dict[str, float], count: int) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 3.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "tpu": 4.0}},
    ]
    assert task_slots(task_options, nodes) == count


# --- in the worker --------------------------------------------------------------------------------


def batch_of(directory: Path, *job_ids: str) -> Batch:
    """A batch of these jobs, with its journal."""
    path = directory / "-".join(job_ids)
    return Batch("a batch", [(job_id, b"") for job_id in job_ids], Journal(str(path)))


def test_a_journal_tells_what_has_begun_and_what_has_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    written = Journal(path)
    assert written.begin(0)
    written.end(0, b"nought")
    assert written.begin(2)
    assert parse_journal(pop_journal(path) or b"") == ({0: b"nought"}, [2])
    assert pop_journal(path) is None, "it is popped once"


@given(st.lists(st.tuples(st.integers(0, 99), st.binary(max_size=40)), unique_by=lambda entry: entry[0]))
def test_a_journal_that_was_cut_off_tells_less_and_nothing_wrong(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, bytes]]
) -> None:
    path = str(tmp_path_factory.mktemp("journal") / "journal")
    written = Journal(path)
    for index, outcome in entries:
        written.begin(index)
        written.end(index, outcome)
    written.close()
    whole = pop_journal(path) or b""
    done = dict(entries)
    assert parse_journal(whole) == (done, [])
    for stop in range(len(whole)):
        known = parse_journal(whole[:stop])
        assert known.outcomes.items() <= done.items()
        begun = len(known.outcomes) + len(known.begun)
        assert set(known.begun) <= set(done)
        assert begun <= len(known.outcomes) + 1


def test_it_lies_beside_the_log_of_the_worker(tmp_path: Path) -> None:
    log = tmp_path / "worker.out"
    kept = os.dup(1)
    try:
        with open(log, "wb") as stream:
            os.dup2(stream.fileno(), 1)
        found = journal_path("a")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert found == str(tmp_path / "anyjob-batch-a")


def test_a_journal_remains_until_the_next_one_of_its_worker(tmp_path: Path) -> None:
    for job_id in ("a", "b"):
        batch = batch_of(tmp_path, job_id)
        assert batch.start_next() == 0
        batch.result()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_no_call_begins_that_cannot_be_written_down(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, "x", "y")
    assert batch.start_next() == 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "x-y").stat().st_size, before[1]))
    try:
        batch.ended(0, b"done")
        assert batch.start_next() is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    returned = load_batch_result(batch.result())
    assert (returned.outcomes, returned.not_run, returned.journaled) == ({0: b"done"}, [1], False)


def test_a_directory_that_is_not_there_ends_a_batch_before_it_begins(tmp_path: Path) -> None:
    batch = batch_of(tmp_path / "gone", "x", "y")
    assert batch.start_next() is None
    returned = load_batch_result(batch.result())
    assert (returned.not_run, returned.journaled) == ([0, 1], False)


def test_one_call_needs_no_journal() -> None:
    batch = Batch("a batch", [("x", b"")])
    assert batch.start_next() == 0
    batch.ended(0, b"nought")
    assert load_batch_result(batch.result()).journaled


def test_what_is_released_is_told_once_and_not_run(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, "w", "x", "y", "z")
    assert batch.start_next() == 0
    batch.ended(0, b"nought")
    assert batch.start_next() == 1
    assert batch.release_rest() == ({0: b"nought"}, [2, 3])
    assert batch.release_rest() is None
    batch.ended(1, b"one")
    assert batch.start_next() is None
    assert load_batch_result(batch.result()).not_run == [2, 3]


def test_what_is_cancelled_meanwhile_is_not_made(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, "x", "y", "z")
    batch.cancelled.update({"x", "y"})
    assert batch.start_next() == 2
    assert batch.outcomes == {0: CANCELLED, 1: CANCELLED}


# --- what is notified ------------------------------------------------------------------------------


@pytest.fixture
def heard() -> queue.SimpleQueue[tuple[str, bytes]]:
    """What was notified."""
    return queue.SimpleQueue()


@pytest.fixture
def listener(heard: queue.SimpleQueue[tuple[str, bytes]]) -> Iterator[NotificationListener]:
    """One on this machine."""
    made = NotificationListener("127.0.0.1", lambda job_id, outcome: heard.put((job_id, outcome)))
    yield made
    made.close()


def test_what_a_worker_sends_is_received(
    listener: NotificationListener, heard: queue.SimpleQueue[tuple[str, bytes]]
) -> None:
    outcome = pickle.dumps({"status": "DONE", "value": b"\0"}, 5)
    notify(listener.address, "a job", outcome)
    assert heard.get(timeout=PATIENCE) == ("a job", outcome)


def test_nobody_else_is_believed(
    listener: NotificationListener, heard: queue.SimpleQueue[tuple[str, bytes]]
) -> None:
    """A datagram may come from anybody, and what is in it is unpickled."""
    notify(NotifyAddress(listener.address.host, listener.address.port, b"another key"), "a job", b"lies")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"x", bytes(SIGNATURE_SIZE), bytes(MAX_SIZE)):
            stranger.sendto(data, listener.address[:2])
    notify(listener.address, "a job", b"truth")
    assert heard.get(timeout=PATIENCE) == ("a job", b"truth")
    assert heard.empty()


def test_what_is_large_is_left_to_ray(
    listener: NotificationListener, heard: queue.SimpleQueue[tuple[str, bytes]]
) -> None:
    notify(listener.address, "a job", bytes(MAX_SIZE))
    notify(listener.address, "a job", b"small")
    assert heard.get(timeout=PATIENCE) == ("a job", b"small")


def test_one_that_is_closed_is_told_nothing_and_harms_nobody(
    heard: queue.SimpleQueue[tuple[str, bytes]],
) -> None:
    listener = NotificationListener("127.0.0.1", lambda job_id, outcome: heard.put((job_id, outcome)))
    listener.close()
    notify(listener.address, "a job", b"said")
    notify(NotifyAddress("127.0.0.1", 0, b"key"), "a job", b"said")
    assert heard.empty()

"""How short calls are put in series, what is kept of them, and how ends are heard: without a cluster."""

from __future__ import annotations

import os
import pickle
import queue
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyjob_ray.bulk import AHEAD, BYTES, GROWTH, MOST, Bulk
from anyjob_ray.end_listener import SIGNED, SMALL, Address, EndListener, tell
from anyjob_ray.journal import Journal, parse, path_of, take_out
from anyjob_ray.nodes import slots
from anyjob_ray.series import CANCELLED, Lead, Series, read_lead
from hypothesis import given
from hypothesis import strategies as st

PLAN = {"num_cpus": 1, "max_retries": 0}
AIM = 0.02
PATIENCE = 20.0


def works(count: int, size: int = 10) -> list[tuple[str, bytes, list[bytes]]]:
    return [(str(number), bytes(size), []) for number in range(count)]


def lead(calls: int, seconds: float, *, large: int | None = None, sound: bool = True) -> Lead:
    return Lead(dict.fromkeys(range(calls), b""), [], large, seconds, sound)


def anything(job_id: str) -> bool:
    return True


# --- how many a task makes ------------------------------------------------------------------------


@pytest.fixture
def bulk() -> Bulk:
    """The calls of a launch, none of which has been made."""
    made = Bulk(PLAN, AIM)
    made.waiting.extend(works(1000))
    return made


def test_the_first_go_one_by_one_and_no_more_than_keep_the_cluster_busy(bulk: Bulk) -> None:
    taken = []
    while some := bulk.take(4, anything):
        taken.append(some)
        bulk.out += 1
    assert [len(some) for some in taken] == [1] * (AHEAD * 4 + AHEAD)


def test_a_series_grows_to_what_fits_into_its_time(bulk: Bulk) -> None:
    sizes = []
    for _ in range(6):
        bulk.learn(lead(sizes[-1] if sizes else 1, (sizes[-1] if sizes else 1) * AIM / 20))
        sizes.append(len(bulk.take(4, anything)))
    assert sizes == [GROWTH, GROWTH**2, 20, 20, 20, 20]


def test_long_calls_large_values_dead_workers_and_full_disks_end_series(bulk: Bulk) -> None:
    for end in (
        lambda: bulk.learn(lead(4, 4 * AIM)),
        lambda: bulk.distrust(),
        lambda: bulk.learn(lead(4, 1e-9, large=4)),
        lambda: bulk.learn(lead(4, 1e-9, sound=False)),
    ):
        bulk.learn(lead(4, 1e-9))
        end()
        assert len(bulk.take(4, anything)) == 1
    bulk.learn(lead(1, 1e-9))
    assert len(bulk.take(4, anything)) == 1, "without a journal, or with large values, there is none"


@given(st.integers(1, 300), st.integers(1, 50), st.integers(1, 40_000))
def test_no_call_is_taken_twice_or_left_and_none_beyond_the_bounds(
    count: int, places: int, size: int
) -> None:
    bulk = Bulk(PLAN, AIM)
    given_out = works(count, size)
    bulk.waiting.extend(given_out)
    taken = []
    while some := bulk.take(places, anything):
        assert len(some) <= MOST
        assert len(some) == 1 or sum(len(work[1]) for work in some) <= BYTES
        taken += some
        bulk.learn(lead(len(some), 1e-9))
    assert taken == given_out


def test_those_that_are_not_wanted_any_more_are_passed_over(bulk: Bulk) -> None:
    bulk.learn(lead(4, 1e-9))
    assert [work[0] for work in bulk.take(2, lambda job_id: int(job_id) % 2 == 1)] == ["1", "3", "5", "7"]


def test_the_last_calls_are_shared_out() -> None:
    bulk = Bulk(PLAN, AIM)
    bulk.waiting.extend(works(16))
    for _ in range(9):
        bulk.learn(lead(100, 1e-9))
    assert len(bulk.take(2, anything)) == 4


@pytest.mark.parametrize(
    ("plan", "count"),
    [
        ({"num_cpus": 2}, 5),
        ({"num_cpus": 0}, 11),
        ({"num_cpus": 1, "num_gpus": 1}, 2),
        ({"num_cpus": 1, "resources": {"tpu": 1}}, 1),
    ],
)
def test_places_are_those_of_the_nodes_that_are_alive(plan: dict[str, float], count: int) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 3.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "tpu": 4.0}},
    ]
    assert slots(plan, nodes) == count


# --- in the worker --------------------------------------------------------------------------------


def of_jobs(directory: Path, *job_ids: str) -> Series:
    """A series of calls for these jobs, with its journal."""
    path = directory / "-".join(job_ids)
    return Series("a series", [(job_id, b"") for job_id in job_ids], Journal(str(path)))


def test_a_journal_tells_what_has_begun_and_what_has_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    written = Journal(path)
    assert written.begin(0)
    written.end(0, b"nought")
    assert written.begin(2)
    assert parse(take_out(path) or b"") == ({0: b"nought"}, [2])
    assert take_out(path) is None, "it is taken out once"


@given(st.lists(st.tuples(st.integers(0, 99), st.binary(max_size=40)), unique_by=lambda entry: entry[0]))
def test_a_journal_that_was_cut_off_tells_less_and_nothing_wrong(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, bytes]]
) -> None:
    path = str(tmp_path_factory.mktemp("journal") / "journal")
    written = Journal(path)
    for number, said in entries:
        written.begin(number)
        written.end(number, said)
    written.close()
    whole = take_out(path) or b""
    done = dict(entries)
    assert parse(whole) == (done, [])
    for stop in range(len(whole)):
        known = parse(whole[:stop])
        assert known.done.items() <= done.items()
        begun = len(known.done) + len(known.begun)
        assert set(known.begun) <= set(done)
        assert begun <= len(known.done) + 1


def test_it_lies_beside_the_log_of_the_worker(tmp_path: Path) -> None:
    log = tmp_path / "worker.out"
    kept = os.dup(1)
    try:
        with open(log, "wb") as stream:
            os.dup2(stream.fileno(), 1)
        found = path_of("a")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert found == str(tmp_path / "anyjob-series-a")


def test_a_journal_remains_until_the_next_one_of_its_worker(tmp_path: Path) -> None:
    for job_id in ("a", "b"):
        series = of_jobs(tmp_path, job_id)
        assert series.take() == 0
        series.lead()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_no_call_begins_that_cannot_be_written_down(tmp_path: Path) -> None:
    series = of_jobs(tmp_path, "x", "y")
    assert series.take() == 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "x-y").stat().st_size, before[1]))
    try:
        series.ended(0, b"done")
        assert series.take() is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = read_lead(series.lead())
    assert (told.done, told.rest, told.sound) == ({0: b"done"}, [1], False)


def test_a_directory_that_is_not_there_ends_a_series_before_it_begins(tmp_path: Path) -> None:
    series = of_jobs(tmp_path / "gone", "x", "y")
    assert series.take() is None
    told = read_lead(series.lead())
    assert (told.rest, told.sound) == ([0, 1], False)


def test_one_call_needs_no_journal() -> None:
    series = Series("a series", [("x", b"")])
    assert series.take() == 0
    series.ended(0, b"nought")
    assert read_lead(series.lead()).sound


def test_what_is_given_back_is_told_once_and_not_made(tmp_path: Path) -> None:
    series = of_jobs(tmp_path, "w", "x", "y", "z")
    assert series.take() == 0
    series.ended(0, b"nought")
    assert series.take() == 1
    assert series.give_back() == ({0: b"nought"}, [2, 3])
    assert series.give_back() is None
    series.ended(1, b"one")
    assert series.take() is None
    assert read_lead(series.lead()).rest == [2, 3]


def test_what_is_cancelled_meanwhile_is_not_made(tmp_path: Path) -> None:
    series = of_jobs(tmp_path, "x", "y", "z")
    series.cancelled.update({"x", "y"})
    assert series.take() == 2
    assert series.done == {0: CANCELLED, 1: CANCELLED}


# --- what is heard --------------------------------------------------------------------------------


@pytest.fixture
def heard() -> queue.SimpleQueue[tuple[str, bytes]]:
    """What the ear has heard."""
    return queue.SimpleQueue()


@pytest.fixture
def ear(heard: queue.SimpleQueue[tuple[str, bytes]]) -> Iterator[EndListener]:
    """One that hears on this machine."""
    made = EndListener("127.0.0.1", lambda job_id, said: heard.put((job_id, said)))
    yield made
    made.close()


def test_what_a_worker_tells_is_heard(ear: EndListener, heard: queue.SimpleQueue[tuple[str, bytes]]) -> None:
    said = pickle.dumps({"status": "DONE", "value": b"\0"}, 5)
    tell(ear.address, "a job", said)
    assert heard.get(timeout=PATIENCE) == ("a job", said)


def test_nobody_else_is_believed(ear: EndListener, heard: queue.SimpleQueue[tuple[str, bytes]]) -> None:
    """A datagram may come from anybody, and what is in it is unpickled."""
    tell(Address(ear.address.host, ear.address.port, b"another key"), "a job", b"lies")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"x", bytes(SIGNED), bytes(SMALL)):
            stranger.sendto(data, ear.address[:2])
    tell(ear.address, "a job", b"truth")
    assert heard.get(timeout=PATIENCE) == ("a job", b"truth")
    assert heard.empty()


def test_what_is_large_is_left_to_ray(ear: EndListener, heard: queue.SimpleQueue[tuple[str, bytes]]) -> None:
    tell(ear.address, "a job", bytes(SMALL))
    tell(ear.address, "a job", b"small")
    assert heard.get(timeout=PATIENCE) == ("a job", b"small")


def test_one_that_is_closed_is_told_nothing_and_harms_nobody(
    heard: queue.SimpleQueue[tuple[str, bytes]],
) -> None:
    ear = EndListener("127.0.0.1", lambda job_id, said: heard.put((job_id, said)))
    ear.close()
    tell(ear.address, "a job", b"said")
    tell(Address("127.0.0.1", 0, b"key"), "a job", b"said")
    assert heard.empty()

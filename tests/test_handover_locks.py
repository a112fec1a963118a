"""Jobs on their way from the ledger to the engine: others tell a slow submitter from one that has died."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.durable_backends import ClusterBackend, new_session

from anyjob import JobStatus, Session
from anyjob.ledger import handover_locks
from anyjob.orders import Answer, Order, Unsure
from anyjob.specs import Call

CALL = Call(len, ("x",))
LOOK = "print(handover_locks.held_of(Path(sys.argv[1]), [3]))"
HOLDER = """
import sys
from pathlib import Path
from anyjob.ledger import handover_locks
handover_locks.hold(Path(sys.argv[1]), 7)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Session, Session, list[Any]]]:
    """Two sessions of one state directory; what is in the list is called in the midst of a launch."""
    meanwhile: list[Callable[[Sequence[Order]], Any]] = []
    launch = ClusterBackend.launch

    def launch_late(backend: ClusterBackend, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for each in meanwhile:
            each(orders)
        yield from launch(backend, orders)

    monkeypatch.setattr(ClusterBackend, "launch", launch_late)
    monkeypatch.setattr(ClusterBackend, "clusters", {})
    with new_session(tmp_path) as submitter, new_session(tmp_path) as other:
        yield submitter, other, meanwhile


def test_what_is_being_handed_over_is_not_lost_to_others(slow: tuple[Session, Session, list[Any]]) -> None:
    """A client that takes longer than the grace of its backend, which is none here."""
    submitter, other, meanwhile = slow
    seen: list[JobStatus] = []
    meanwhile.append(lambda orders: seen.extend(other.get_job(order.job_id).status() for order in orders))
    jobs = submitter.get_backend("cluster").map(len, ["a", "b"])
    assert seen == [JobStatus.INITIALIZING] * 2
    assert [other.get_job(job.job_id()).status() for job in jobs] == [JobStatus.QUEUED] * 2


@pytest.mark.parametrize("ends_by", ["an answer that is none", "an interrupt", "a fault"])
def test_what_was_not_handed_over_is_lost_as_before(
    slow: tuple[Session, Session, list[Any]], monkeypatch: pytest.MonkeyPatch, ends_by: str
) -> None:
    submitter, other, _ = slow
    known: list[str] = []

    def launch(backend: ClusterBackend, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        known.extend(order.job_id for order in orders)
        if ends_by == "an interrupt":
            raise KeyboardInterrupt
        if ends_by == "a fault":
            raise OSError("no such program")
        yield from ((order, Unsure()) for order in orders)

    monkeypatch.setattr(ClusterBackend, "launch", launch)
    backend = submitter.get_backend("cluster")
    if ends_by == "an answer that is none":
        backend.run(CALL)
        assert other.get_job(known[0]).status() is JobStatus.ERROR
    else:
        with pytest.raises((KeyboardInterrupt, OSError)):
            backend.run(CALL)
    assert handover_locks.held_of(submitter.ledger.state, range(10)) == set()


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        handover_locks.hold(tmp_path, 8)
        assert handover_locks.held_of(tmp_path, range(10)) == {7, 8}
        handover_locks.let_go(tmp_path, [8])
        assert handover_locks.held_of(tmp_path, range(10)) == {7}
        holder.kill()
        holder.wait(60)
        assert handover_locks.held_of(tmp_path, range(10)) == set()


def test_to_look_lets_go_of_nothing(tmp_path: Path) -> None:
    """POSIX: whoever closes a file lets go of all locks of the process on it."""
    handover_locks.hold(tmp_path, 3)
    assert handover_locks.held_of(tmp_path, [3, 4]) == {3}
    looked = [sys.executable, "-c", HOLDER.split("handover_locks.hold")[0] + LOOK, str(tmp_path)]
    assert subprocess.run(looked, capture_output=True, check=True, timeout=60).stdout == b"{3}\n"
    handover_locks.let_go(tmp_path, [3])
    assert subprocess.run(looked, capture_output=True, check=True, timeout=60).stdout == b"set()\n"


def test_what_was_forked_off_holds_nothing(tmp_path: Path) -> None:
    handover_locks.hold(tmp_path, 3)
    pid = os.fork()
    if pid == 0:
        sees = handover_locks.held_of(tmp_path, [3, 4]) == {3}
        handover_locks.hold(tmp_path, 4)
        handover_locks.let_go(tmp_path, [3, 4])
        os._exit(0 if sees else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert handover_locks.held_of(tmp_path, [3, 4]) == {3}
    handover_locks.let_go(tmp_path, [3])


def test_where_there_can_be_no_lock_others_know_of_none(tmp_path: Path) -> None:
    handover_locks.hold(tmp_path / "missing", 3)
    assert handover_locks.held_of(tmp_path / "missing", [3]) == set()
    handover_locks.let_go(tmp_path / "missing", [3])

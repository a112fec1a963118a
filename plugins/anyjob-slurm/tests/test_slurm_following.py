"""Jobs are followed by the spool, and by what Slurm's programs print: here they print what they are told."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import pytest
from anyjob_slurm.dialect import Slurm
from anyjob_slurm.options import SlurmOptions
from anyjob_slurm.rows import SEPARATOR

from anyjob import BackendAuthError, BackendError, BackendUnavailableError, Command, JobStatus
from anyjob.batch.files import submission
from anyjob.batch.files.claims import NOBODY, claimed_by
from anyjob.batch.files.finding import memberships
from anyjob.batch.files.journal import Journal
from anyjob.batch.files.membership import Membership
from anyjob.batch.follower import Follower
from anyjob.batch.programs import Programs
from anyjob.batch.queue import Listing, Queue
from anyjob.orders import Observation, Order, Ticket
from anyjob.resources import Resources
from anyjob.runtime.ids import new_id
from anyjob.sdk import Row
from anyjob.spool.job_spool import path_of

SLURM = Slurm()


class Cluster:
    """A cluster whose programs print what they are told, and a job on it."""

    def __init__(
        self, directory: Path, tasks: int = 1, patience: float = 30.0, timeout: float = 60.0
    ) -> None:
        self.path = directory
        self.says("squeue", "")
        self.says("sacct", "")
        options = SlurmOptions(programs=directory, timeout=timeout)
        self.queue = Queue(Programs(SLURM, options))
        self.follower = Follower(self.queue, patience, lambda row: row.message)
        root = directory / "spool"
        orders = [
            Order(
                job_id=(job_id := new_id()),
                spec=Command(["true"]),
                resources=Resources(),
                environment={},
                spool=path_of(root, job_id),
            )
            for _ in range(tasks)
        ]
        self.submission = submission.write_submission(root, orders, b"", SLURM)
        self.name = f"anyjob-{self.submission.name}"
        ids = ["7"] if tasks == 1 else [f"7_{task}" for task in range(tasks)]
        self.tickets = [
            Ticket(job_id=order.job_id, native_id=native, submitted=time.time(), spool=order.spool)
            for order, native in zip(orders, ids, strict=True)
        ]

    def says(self, program: str, text: str, code: int = 0, first: str = "") -> None:
        (self.path / f"{program}.txt").write_text(text)
        stream = " >&2" if code else ""
        path = self.path / f"{program}.new"
        path.write_text(
            f"#!/bin/sh\necho {program} $* >> {self.path}/calls\n{first}\n"
            f"cat {self.path}/{program}.txt{stream}\nexit {code}\n"
        )
        path.chmod(0o755)
        path.rename(self.path / program)

    def lists(
        self, state: str, tasks: str = "N/A", reason: str = "None", restarts: int = 0, name: str = ""
    ) -> None:
        times = ("2026-11-22T11:14:23", "2026-11-22T11:15:23")
        fields = ("7", tasks, state, str(restarts), "0", *times, "n1", reason, name or self.name)
        self.says("squeue", SEPARATOR.join(fields) + SEPARATOR + "\n")

    def remembers(self, state: str, job: str = "7", name: str = "") -> None:
        times = "2026-11-22T11:14:23|2026-11-22T11:15:23"
        self.says("sacct", f"{job}|{state}|0:0|{times}|n1|{name or self.name}\n")

    def calls(self, program: str) -> int:
        log = self.path / "calls"
        return sum(line.startswith(program) for line in log.read_text().splitlines()) if log.exists() else 0

    def look(self, number: int = 0) -> Observation | None:
        """Look as if some time had passed since the last look."""
        self.queue.invalidate()
        self.queue._history_asked_at = self.queue.asked_at = float("-inf")
        ticket = self.tickets[number]
        return self.follower.observe([ticket]).get(ticket.job_id)

    def directory(self, number: int = 0) -> Path:
        spool = self.tickets[number].spool
        assert spool is not None
        return spool

    def claim(self, said: str, number: int = 0) -> None:
        self.member(number).claim.write_text(f"{said}\n")

    def member(self, number: int = 0) -> Membership:
        job_id = self.tickets[number].job_id
        return memberships(self.path / "spool", [job_id], SLURM)[job_id]

    def leave(self, name: str = "outcome.pkl", **said: object) -> None:
        said = {"status": "DONE", "exit_code": 0, **said}
        self.directory().mkdir(parents=True, exist_ok=True)
        (self.directory() / name).write_bytes(pickle.dumps(said))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def status(seen: Observation | None) -> JobStatus | None:
    return None if seen is None else seen.status


def test_what_slurm_says_of_another_job_that_has_the_id_now_is_not_said_of_ours(cluster: Cluster) -> None:
    """blackfish#484: ids start again, as after a reinstallation."""
    cluster.lists("RUNNING", name="somebody-else")
    cluster.remembers("FAILED", name=f"anyjob-{new_id()}")
    assert cluster.look() is None
    cluster.remembers("CANCELLED by 1000")
    assert status(cluster.look()) is JobStatus.CANCELLED


def test_an_outcome_that_is_seen_late_is_waited_for(cluster: Cluster) -> None:
    """snakemake#39, #153, #775: network file systems show what a job has left some time after its end."""
    cluster.lists("COMPLETED")
    seen = cluster.look()
    assert status(seen) is JobStatus.QUEUED
    assert "not seen yet" in seen.message if seen else False
    cluster.leave()
    assert status(cluster.look()) is JobStatus.DONE


def test_an_outcome_that_never_comes_is_lost_after_a_bound(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, patience=0.0)
    cluster.lists("COMPLETED")
    seen = cluster.look()
    assert seen is not None
    assert (seen.status, seen.reason) == (JobStatus.ERROR, "lost")


def test_the_spool_is_enough(cluster: Cluster) -> None:
    """submitit#1759: what is known without it is not asked for."""
    cluster.queue.note_submission("7")
    journal = Journal(cluster.submission)
    with journal.path.open("a") as stream:
        stream.write("S 0 1\n")
    ticket = cluster.tickets[0]
    assert cluster.follower.observe([ticket])[ticket.job_id].status is JobStatus.RUNNING
    cluster.leave()
    with journal.path.open("a") as stream:
        stream.write("E 0 1\nS 5")  # the rest of the line is on its way
    assert cluster.follower.observe([ticket])[ticket.job_id].status is JobStatus.DONE
    assert cluster.calls("s") == 0


def test_an_end_that_slurm_may_have_brought_about_is_asked_about_at_once(cluster: Cluster) -> None:
    cluster.queue.note_submission("7")
    cluster.leave("ended.pkl", status="ERROR", reason="signal", signal=15, attempt=1)
    (cluster.submission / "journal").write_text("S 0 1\nE 0 1\n")
    cluster.lists("TIMEOUT")
    ticket = cluster.tickets[0]
    assert cluster.follower.observe([ticket])[ticket.job_id].reason == "walltime"
    assert cluster.calls("squeue") == 1


def test_one_question_is_about_all_jobs_and_is_not_asked_again_at_once(tmp_path: Path) -> None:
    """aiida-core#2535, Snakemake-Profiles/slurm#74: polling does not grow with the number of jobs."""
    cluster = Cluster(tmp_path, tasks=100)
    cluster.lists("PENDING", tasks="0-99")
    for _ in range(50):
        seen = cluster.follower.observe(cluster.tickets)
    assert {each.status for each in seen.values()} == {JobStatus.QUEUED}
    assert len(seen) == 100
    assert cluster.calls("squeue") == 1


def test_absent_is_unknown(cluster: Cluster) -> None:
    """aiida-core#1505, #4326, Parsl#1588, #3316, nextflow#1644: absent from the queue is not finished."""
    assert cluster.look() is None
    assert cluster.calls("sacct") == 1


def test_the_history_of_a_job_that_has_gone_counts(cluster: Cluster) -> None:
    cluster.remembers("TIMEOUT")
    seen = cluster.look()
    assert seen is not None
    assert (seen.status, seen.reason) == (JobStatus.ERROR, "walltime")


def test_a_history_that_lags_is_no_verdict(cluster: Cluster) -> None:
    cluster.remembers("RUNNING")
    assert cluster.look() is None


def test_accounting_that_is_disabled_is_asked_once(cluster: Cluster) -> None:
    """snakemake-executor-plugin-slurm#38: accounting disabled crashed."""
    cluster.says("sacct", "Slurm accounting storage is disabled\n", code=1)
    assert [cluster.look() for _ in range(3)] == [None, None, None]
    assert cluster.calls("sacct") == 1


def test_accounting_that_does_not_answer_is_no_verdict(tmp_path: Path) -> None:
    """snakemake-executor-plugin-slurm#207: an outage of the accounting hung."""
    cluster = Cluster(tmp_path, timeout=0.3)
    cluster.says("sacct", "", first="exec sleep 60")
    seen = cluster.look()
    assert status(seen) is JobStatus.QUEUED
    assert "accounting does not answer" in seen.message if seen else False


def test_a_controller_that_is_away_is_transient(cluster: Cluster) -> None:
    cluster.says("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", 1)
    with pytest.raises(BackendUnavailableError, match="Unable to contact slurm controller"):
        cluster.look()
    cluster.leave()
    Journal(cluster.submission).append("E", [0])
    assert status(cluster.look()) is JobStatus.DONE  # by the spool


def test_a_controller_that_hangs_is_transient(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, timeout=0.3)
    cluster.says("squeue", "", first="exec sleep 60")
    with pytest.raises(BackendUnavailableError, match="option `timeout`"):
        cluster.look()


def test_credentials_that_are_refused_are_permanent(cluster: Cluster) -> None:
    cluster.says("squeue", "slurm_load_jobs error: Invalid authentication credential\n", 1)
    with pytest.raises(BackendAuthError):
        cluster.look()


def test_a_program_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    """Parsl#3235: a missing program was tried ten times."""
    with pytest.raises(BackendError, match=r"`sbatch` of Slurm is not in .*option `programs`") as raised:
        Programs(SLURM, SlurmOptions(programs=tmp_path)).run(["sbatch"])
    assert not isinstance(raised.value, BackendUnavailableError)


def test_a_requeue_is_a_new_attempt(cluster: Cluster) -> None:
    cluster.lists("RUNNING")
    assert status(cluster.look()) is JobStatus.RUNNING
    cluster.lists("PENDING", reason="BeginTime", restarts=1)
    seen = cluster.look()
    assert seen is not None
    assert (seen.status, seen.attempt) == (JobStatus.QUEUED, 2)
    assert "(BeginTime); expected to start at 2026-11-22" in seen.message


def test_who_cancelled_is_asked_of_the_accounting(cluster: Cluster) -> None:
    cluster.lists("CANCELLED")
    assert status(cluster.look()) is JobStatus.QUEUED  # the row may come yet
    cluster.remembers("CANCELLED by 0")
    seen = cluster.look()
    assert seen is not None
    assert (seen.status, seen.message) == (JobStatus.CANCELLED, "by root (uid 0)")


def test_what_we_have_cancelled_is_not_asked_about(cluster: Cluster) -> None:
    cluster.follower.cancelled(cluster.tickets)
    cluster.lists("CANCELLED")
    assert status(cluster.look()) is JobStatus.CANCELLED
    assert cluster.calls("sacct") == 0


def test_another_process_hears_of_a_cancel(cluster: Cluster) -> None:
    other = Follower(cluster.queue, 30.0, lambda row: row.message)
    cluster.lists("PENDING")
    cluster.look()
    other.cancelled(cluster.tickets)
    cluster.lists("CANCELLED")
    cluster.queue.asked_at -= 1.0
    ticket = cluster.tickets[0]
    assert cluster.follower.observe([ticket])[ticket.job_id].status is JobStatus.CANCELLED


def forgotten_tasks(tmp_path: Path) -> Cluster:
    """Slurm keeps no record of tasks that are cancelled while they wait, but of the rest of their array."""
    cluster = Cluster(tmp_path, tasks=3, patience=0.0)
    cluster.lists("RUNNING", tasks="0")
    return cluster


def test_a_task_that_was_cancelled_while_it_waited_vanishes(tmp_path: Path) -> None:
    cluster = forgotten_tasks(tmp_path)
    seen = cluster.look(2)
    assert status(seen) is JobStatus.CANCELLED
    assert claimed_by(cluster.member(2), SLURM) == NOBODY  # so it cannot start any more


def test_what_we_have_cancelled_is_cancelled_though_slurm_keeps_no_history(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, patience=0.0)
    cluster.claim("7 - 1")
    assert cluster.look() is None
    cluster.follower.cancelled(cluster.tickets)
    assert status(cluster.look()) is JobStatus.CANCELLED


def test_a_task_that_has_started_does_not_vanish(tmp_path: Path) -> None:
    cluster = forgotten_tasks(tmp_path)
    cluster.claim("7 2 1", 2)
    assert cluster.look(2) is None


def test_what_a_node_saw_and_what_slurm_says_are_put_together(cluster: Cluster) -> None:
    cluster.leave("ended.pkl", status="ERROR", reason="signal", signal=9, peak_memory=4096)
    cluster.lists("OUT_OF_MEMORY")
    cluster.look()
    ticket = cluster.tickets[0]
    outcome = cluster.follower.collect([ticket], lambda tickets: {})[ticket.job_id]
    assert (outcome.reason, outcome.peak_memory, outcome.host) == ("memory", 4096, "n1")


def test_what_was_seen_of_the_attempt_before_does_not_count(cluster: Cluster) -> None:
    cluster.leave("ended.pkl", status="ERROR", reason="signal", signal=15)
    cluster.lists("COMPLETED", restarts=1)
    assert "not seen yet" in str(cluster.look())


def test_the_directory_of_a_submission_goes_with_its_last_job(cluster: Cluster) -> None:
    cluster.lists("NODE_FAIL")
    cluster.look()
    cluster.follower.collect(cluster.tickets, lambda tickets: {})
    assert not cluster.submission.exists()


def test_a_submission_that_another_process_has_seen_end_is_told_by_the_spool(cluster: Cluster) -> None:
    """submitit#1707: the status is right at once."""
    cluster.lists("RUNNING")
    cluster.look()
    cluster.leave()
    submission.remove(cluster.submission)
    ticket = cluster.tickets[0]
    assert cluster.follower.observe([ticket])[ticket.job_id].status is JobStatus.DONE


def test_old_submissions_are_swept_when_their_jobs_are_forgotten(tmp_path: Path) -> None:
    """A job has no directory before it starts: that it has none does not say that it is forgotten."""
    cluster = Cluster(tmp_path, tasks=3)
    root = cluster.path / "spool"

    def is_swept() -> bool:
        os.utime(cluster.submission, (0, 0))
        submission.remove_forgotten(root, lambda job_id: path_of(root, job_id))
        return not cluster.submission.exists()

    assert not is_swept(), "all three wait"
    cluster.claim("7 0 1", 0)
    cluster.lists("NODE_FAIL", tasks="1")
    cluster.look(1)
    cluster.follower.collect([cluster.tickets[1]], lambda tickets: {})
    assert not is_swept(), "one waits still"
    cluster.follower.cancelled([cluster.tickets[2]])
    cluster.directory(0).mkdir(parents=True)
    assert not is_swept(), "one is remembered"
    cluster.directory(0).rmdir()
    assert is_swept()


def test_what_is_left_of_a_submission_that_was_never_whole_is_swept(cluster: Cluster) -> None:
    (cluster.submission / "jobs").unlink()
    os.utime(cluster.submission, (0, 0))
    submission.remove_forgotten(cluster.path / "spool", lambda job_id: cluster.path / job_id)
    assert not cluster.submission.exists()


def test_a_listing_finds_tasks_alone_and_in_ranges() -> None:
    rows = [
        Row("7", JobStatus.RUNNING, (range(1),)),
        Row("7", JobStatus.QUEUED, (range(1, 9, 2),)),
        Row("8", JobStatus.ERROR),
    ]
    listing = Listing(SLURM, rows)
    found = {native: listing.get(native) for native in ("7_0", "7_1", "7_2", "7_3", "8", "9", "7")}
    assert {native: row.status for native, row in found.items() if row} == {
        "7_0": JobStatus.RUNNING,
        "7_1": JobStatus.QUEUED,
        "7_3": JobStatus.QUEUED,
        "8": JobStatus.ERROR,
    }
    assert listing.knows_array("7_99")
    assert not listing.knows_array("8_0")

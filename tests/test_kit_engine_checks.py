"""The checks of text, other processes, faults and bulk fail for the backend that was made to fail them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
import wrong_backends_engine as wrong
from kit_trials import harness_of
from right_backend import RightBackend
from support.running_backends import CallsOnly

from anyjob import BaseBackend, BaseJob, JobNotFoundError, JobStatus
from anyjob.backend import Capabilities
from anyjob.orders import Observation, Ticket
from anyjob.spool.job_spool import path_of
from anyjob.testing import Samples, TaskBackendConformance
from anyjob.testing.checks.engine.bulk import Bulk
from anyjob.testing.checks.engine.client_crashes import ClientCrashes
from anyjob.testing.checks.engine.engine_faults import EngineFaults
from anyjob.testing.checks.engine.reattachment import Reattachment, TaskReattachment
from anyjob.testing.checks.job.text import TaskText, Text
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.session_factory import SessionFactory
from anyjob.tracking.records import JobRecord

CHECKS: list[type[Any]] = [Text, TaskText, Reattachment, TaskReattachment, ClientCrashes, EngineFaults, Bulk]

FAILURES: list[tuple[type[Any], str, str]] = [
    (wrong.ThroughAShell, "test_text_comes_back_from_the_work_as_it_was_given", "did not run|became"),
    (
        wrong.DropsEmptyArguments,
        "test_arguments_reach_a_program_byte_for_byte",
        "number 0 was b'', and became",
    ),
    (wrong.StripsVariables, "test_variables_reach_a_program_byte_for_byte", "was b' ', and became b''"),
    (
        wrong.CutsArguments,
        "test_the_longest_text_reaches_a_program_and_longer_is_refused",
        r"\(131,071 long\), and became .* \(4,096 long\)",
    ),
    (
        wrong.IgnoresDirectories,
        "test_a_program_runs_in_the_directory_that_it_was_given",
        "a file of a program that was to run in a directory of the name",
    ),
    (
        wrong.IgnoresOutputFiles,
        "test_a_program_writes_to_the_files_that_it_names",
        "in 'one' and 'two' are the lines",
    ),
    (
        wrong.IgnoresWhatCallsNeed,
        "test_a_call_is_made_in_the_environment_that_it_asks_for",
        "a call that was to be made in",
    ),
    (wrong.CutsStdin, "test_what_a_program_reads_is_what_it_was_given", "the line of stdin number"),
    (wrong.StripsArguments, "test_the_arguments_of_a_call_reach_it", "the argument of a call number"),
    (wrong.TextOnly, "test_what_failed_is_told_whatever_it_says", "could not be told: UnicodeDecodeError"),
    (wrong.NamesInScripts, "test_names_and_tags_are_kept_and_stop_no_work", "ended as ERROR"),
    (
        wrong.ObservesItsOwn,
        "test_another_process_finds_a_job_and_its_result",
        "in another process its result could not be had",
    ),
    (
        wrong.TellsLate,
        "test_the_first_status_that_is_asked_for_is_the_right_one",
        "first said to be .*RUNNING",
    ),
    (wrong.HandsOverLate, "test_a_job_outlives_the_process_that_submitted_it", "ended as .*ERROR"),
    (wrong.CancelsItsOwn, "test_a_job_is_cancelled_from_another_process", "was told False"),
    (wrong.ShowsItsOwnLogs, "test_what_a_job_wrote_is_read_in_another_process", r"reads \[\]"),
    (wrong.LockedHandles, "test_a_pickled_handle_opens_in_another_process", "cannot be pickled"),
    (wrong.DropsNames, "test_jobs_are_listed_and_run_anew_by_another_process", r"gives \[\] in another"),
    (wrong.LeavesRows, "test_a_job_that_is_not_durable_leaves_nothing_behind", "another session finds"),
    (
        wrong.TakesAbsentForDone,
        "test_a_client_that_dies_before_it_submits_leaves_no_job_in_the_dark",
        "has never run",
    ),
    (
        wrong.FindsNothing,
        "test_a_client_that_dies_while_it_submits_has_no_job_run_twice",
        "the engine took job",
    ),
    (
        wrong.SubmitsAgain,
        "test_a_client_that_dies_while_it_submits_has_no_job_run_twice",
        "was it submitted once more|has run 2 times",
    ),
    (
        wrong.HandsOverLate,
        "test_a_client_that_dies_after_it_has_submitted_loses_no_job",
        "the engine took job",
    ),
    (
        wrong.FailsWhenAway,
        "test_an_engine_that_is_away_is_told_by_its_own_error",
        "was said to be .*ERROR",
    ),
    (wrong.RaisesWhenAway, "test_an_engine_that_is_away_is_told_by_its_own_error", "connection refused"),
    (wrong.RaisesWhenAway, "test_a_wait_outlasts_an_engine_that_is_away", "connection refused"),
    (wrong.KeepsForLater, "test_work_for_an_engine_that_is_away_is_refused_at_once", "returned <"),
    (wrong.AcceptsAnyCancel, "test_a_cancel_that_does_not_reach_the_engine_is_not_accepted", "returned True"),
    (
        wrong.TakesAbsentForDone,
        "test_a_job_that_the_engine_has_forgotten_is_unknown_before_it_is_lost",
        "taken for DONE",
    ),
    (
        wrong.TakesAbsentForLost,
        "test_a_job_that_the_engine_has_forgotten_is_unknown_before_it_is_lost",
        "the grace period is",
    ),
    (
        wrong.AsksTheEngineAlone,
        "test_what_lies_in_the_spool_counts_when_the_engine_has_forgotten",
        r"it ended as ERROR \(lost\)",
    ),
    (wrong.FindsNothing, "test_a_submission_that_was_not_answered_is_made_good", "declares find=True"),
    (wrong.SubmitsAgain, "test_a_submission_that_was_not_answered_is_made_good", "it was found as"),
    (wrong.TriesAgain, "test_a_submission_that_was_not_answered_is_made_good", "was submitted 2 times"),
    (
        wrong.TakesSilenceForANo,
        "test_an_answer_that_is_lost_on_its_way_is_no_rejection",
        "took that for a no .*no answer",
    ),
    (wrong.FindsNothing, "test_an_answer_that_is_lost_on_its_way_is_no_rejection", "declares find=True"),
    (wrong.AsTheyCome, "test_a_thousand_jobs_keep_their_order", "the one that says 'number 0' said"),
    (wrong.OneByOne, "test_many_jobs_are_handed_over_by_one_call", "launch.. was called 4 times"),
    (wrong.ShortLines, "test_a_question_about_a_thousand_jobs_is_answered", "Argument list too long"),
    (wrong.NumbersJobs, "test_a_submission_that_was_not_answered_is_made_good", "yielded 12 for an order"),
    (wrong.AsksOneByOne, "test_a_question_about_a_thousand_jobs_is_answered", "asked its engine 1,000 times"),
    (wrong.AsksEachTime, "test_questions_are_bounded_however_many_ask", "the engine was asked"),
    (wrong.Guesses, "test_an_answer_that_leaves_jobs_out_is_no_verdict", "was taken to be ERROR"),
    (wrong.BelievesHints, "test_what_the_engine_tells_is_a_hint_and_no_verdict", "taken for its end"),
    (
        wrong.DeafToHints,
        "test_what_the_engine_tells_is_a_hint_and_no_verdict",
        "question to the engine after",
    ),
]

WRONG: list[tuple[type[Any], str]] = [(backend, check) for backend, check, _ in FAILURES]
"""Which backend fails which check."""


def run(check: str, harness: BackendHarness) -> None:
    """Do one check, with few jobs where it is about many."""
    kit: Any = TaskBackendConformance()
    kit.bulk, kit.bulk_reason = 12, "a wrong order shows with few"
    getattr(kit, check)(harness)


@pytest.mark.parametrize(
    ("backend", "check", "message"), FAILURES, ids=[f"{each[0].__name__}-{each[1][5:]}" for each in FAILURES]
)
def test_the_wrong_backend_fails_the_check(
    backend: type[Any], check: str, message: str, tmp_path: Path
) -> None:
    timeout = getattr(backend, "check_timeout", 20.0)
    with harness_of(backend, tmp_path, timeout) as harness, pytest.raises(AssertionError, match=message):
        run(check, harness)


def test_of_work_that_has_ended_when_run_returns_nothing_before_is_asked(tmp_path: Path) -> None:
    """Each check would wait for the end of slow work, where an author has launch() wait for it."""
    with (
        harness_of(wrong.WaitsForTheEnd, tmp_path) as harness,
        pytest.raises(SkipTest, match="nothing before"),
    ):
        run("test_a_deadline_is_kept", harness)


def test_every_check_has_a_wrong_backend() -> None:
    checks = {name for kit in CHECKS for name in vars(kit) if name.startswith("test_")}
    assert checks == {check for _, check in WRONG}


class FiledJob(BaseJob):
    """A plain job, which its service keeps in a file."""

    @property
    def file(self) -> Path:
        return Path(self._backend.configuration().directory, self.job_id())

    def submit(self) -> None:
        raise NotImplementedError

    def status(self) -> JobStatus:
        statuses = {"quick": JobStatus.DONE, "slow": JobStatus.RUNNING}
        return statuses.get(self.file.read_text(), JobStatus.CANCELLED)

    def result(self) -> str:
        return "the answer"

    def cancel(self) -> bool:
        self.file.write_text("cancelled")
        return True


class FiledBackend(BaseBackend):
    """A plain backend whose service goes on without its clients."""

    capabilities = Capabilities(durable=True)

    def run(self, work: str) -> FiledJob:
        job = FiledJob(self, os.urandom(4).hex())
        job.file.write_text(work)
        return job

    def retrieve_job(self, job_id: str) -> FiledJob:
        job = FiledJob(self, job_id)
        if not job.file.exists():
            raise JobNotFoundError(f"there is no job {job_id!r}")
        return job


class ForgetfulBackend(FiledBackend):
    """Says that its jobs outlive their clients, and does not find them."""

    def retrieve_job(self, job_id: str) -> FiledJob:
        raise JobNotFoundError(f"there is no job {job_id!r}")


@pytest.mark.parametrize("check", [name for name in vars(Reattachment) if name.startswith("test_")])
def test_a_plain_backend_is_held_to_what_it_declares(check: str, tmp_path: Path) -> None:
    sample = Samples(kind="filed", succeeds="quick", value="the answer", slow=lambda seconds: "slow")
    for backend in (FiledBackend, ForgetfulBackend):
        factory = SessionFactory(
            backend.__name__.lower(), backend, {"directory": str(tmp_path)}, tmp_path / "state"
        )
        fails = backend is ForgetfulBackend
        expected: Any = pytest.raises(AssertionError, match="not found") if fails else nullcontext()
        with (
            closing(BackendHarness.from_factory(factory, samples=[sample], timeout=20.0)) as harness,
            expected,
        ):
            run(check, harness)


class CannotFind(RightBackend):
    """Keeps the promises of one that declares find=False."""

    capabilities = Capabilities(durable=True, shared_files=True, logs=True)

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        return {}


class KeepsFilesToItself(RightBackend):
    """Keeps the promises of one that declares shared_files=False, and takes no calls then."""

    capabilities = Capabilities(durable=True, find=True, logs=True)

    def _spool(self, record: JobRecord) -> Path:
        return path_of(self.services.ledger.state / "spool", record.job_id)


@pytest.mark.parametrize(
    ("backend", "kit"),
    [
        (CannotFind, ClientCrashes),
        (CannotFind, EngineFaults),
        (KeepsFilesToItself, TaskText),
        (KeepsFilesToItself, ClientCrashes),
        (CallsOnly, TaskText),
        (CallsOnly, TaskReattachment),
        (CallsOnly, EngineFaults),
    ],
)
def test_who_declares_less_is_held_to_that(backend: type[Any], kit: type[Any], tmp_path: Path) -> None:
    kept = []
    for check in [name for name in vars(kit) if name.startswith("test_")]:
        (tmp_path / check).mkdir()
        with harness_of(backend, tmp_path / check) as harness, suppress(SkipTest):
            run(check, harness)
            kept.append(check)
    assert kept


class BreaksWhenLookedAt(RightBackend):
    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        raise ZeroDivisionError


class BreaksWhenToldToEnd(RightBackend):
    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        list(super().terminate(tickets))
        raise ZeroDivisionError


@pytest.mark.parametrize("backend", [BreaksWhenLookedAt, BreaksWhenToldToEnd])
def test_a_backend_that_breaks_down_is_told_of_by_the_check_alone(
    backend: type[RightBackend], tmp_path: Path
) -> None:
    with harness_of(backend, tmp_path) as harness:
        sample = next(harness.samples_with("slow"))
        assert sample.slow is not None
        job = harness.run(sample.slow(20.0))
        with pytest.raises(ZeroDivisionError):
            harness.wait(job) if backend is BreaksWhenLookedAt else job.cancel()
        harness.close()
        assert harness.session.made() == []


def test_fewer_jobs_need_a_reason_which_is_shown(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="say in `bulk_reason` why"):
        type("Few", (Bulk,), {"bulk": 10})
    few: Any = type("Few", (Bulk,), {"bulk": 10, "bulk_reason": "each costs a dollar"})()
    shown = "kept with 10 jobs; 1,000 were not tried: each costs a dollar"
    with harness_of(RightBackend, tmp_path) as harness, pytest.raises(SkipTest, match=shown):
        few.test_a_thousand_jobs_keep_their_order(harness)

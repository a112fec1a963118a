"""What Slurm's programs print is read by pure functions; the texts are those of several versions."""

from __future__ import annotations

import time

import pytest
from anyjob_slurm import rows
from anyjob_slurm.dialect import Slurm
from anyjob_slurm.rows import SEPARATOR
from hypothesis import given
from hypothesis import strategies as st

from anyjob import JobStatus
from anyjob.batch.queue import condensed
from anyjob.batch.script import job_id_in_name
from anyjob.sdk import Row

SLURM = Slurm()
NUMBERS = st.integers(0, 10**6)


def squeue(*fields: str) -> str:
    return "".join(f"{field}{SEPARATOR}" for field in fields) + "\n"


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


# --- squeue ---------------------------------------------------------------------------------------


def test_a_running_task_of_an_array() -> None:
    text = squeue(
        "2", "0", "RUNNING", "0", "0", "2026-11-22T11:14:23", "2026-11-22T12:14:23", "slab1", "None", "fit"
    )
    assert list(rows.queue_rows(text)) == [
        Row(
            "2",
            JobStatus.RUNNING,
            (range(1),),
            attempt=1,
            started=at("2026-11-22T11:14:23"),
            ended=at("2026-11-22T12:14:23"),
            host="slab1",
            name="fit",
        )
    ]


def test_pending_tasks_come_in_one_line() -> None:
    text = squeue("2", "3-19%3", "PENDING", "0", "0", "N/A", "N/A", "n/a", "JobArrayTaskLimit", "x")
    (row,) = rows.queue_rows(text)
    assert (row.tasks, row.started, row.host) == ((range(3, 20),), None, "")
    assert row.message == "as many tasks of its array run as may (JobArrayTaskLimit)"


def test_a_job_that_failed_has_its_status_as_wait_gives_it() -> None:
    times = ("2026-11-22T11:19:31", "2026-11-22T11:19:31")
    text = squeue("15", "N/A", "FAILED", "1", "1792", *times, "slab1", "NonZeroExitCode", "a")
    text += squeue("16", "N/A", "CANCELLED", "0", "15", *times, "slab1", "None", "b")
    failed, cancelled = rows.queue_rows(text)
    assert (failed.tasks, failed.attempt, failed.reason, failed.exit_code) == (None, 2, "exit-code", 7)
    assert (cancelled.status, cancelled.signal) == (JobStatus.CANCELLED, None)


def test_of_a_heterogeneous_job_the_component_with_the_script_counts() -> None:
    """Recorded: each has an id of its own, and all have the same name, by which a job is found again."""
    common = ("N/A", "RUNNING", "0", "0", "N/A", "N/A", "slab1", "None", "fit")
    (row,) = rows.queue_rows(squeue("15431", *common, "0") + squeue("15432", *common, "1"))
    assert row.job == "15431"
    text = "15422+0|COMPLETED|0:0|a|b|slab1|fit\n15422+1|COMPLETED|0:0|a|b|slab2|fit\n"
    (ended,) = rows.history_rows(text)
    assert (ended.job, ended.status) == ("15422", JobStatus.DONE)


def test_lines_of_others_and_newer_fields_are_passed_over() -> None:
    """snakemake-executor-plugin-slurm#38: what a site prints besides is no crash."""
    fields = ("5", "N/A", "PENDING", "N/A", "0", "N/A", "N/A", "n/a", "(Resources)", "x", "a field of 30.11")
    text = "squeue: notice from the site\n\n" + squeue(*fields)
    (row,) = rows.queue_rows(text)
    assert (row.job, row.attempt) == ("5", 1)
    assert row.message.endswith("(Resources)")


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    for read in (SLURM.listed, SLURM.recorded, SLURM.error_message):
        list(read(text))
    list(SLURM.cancelled(1, text))
    SLURM.submitted(text)
    SLURM.read_limit(text)
    rows.timestamp(text)
    rows.exit_status(text)
    rows.task_ranges(text)


NAMES = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"], blacklist_characters=SEPARATOR), max_size=30
)


@given(st.lists(st.tuples(NUMBERS, st.sampled_from(["PENDING", "RUNNING", "COMPLETED"]), NAMES), max_size=5))
def test_names_whatever_they_hold_are_read_back(jobs: list[tuple[int, str, str]]) -> None:
    text = "".join(
        squeue(str(job), "N/A", state, "0", "0", "N/A", "N/A", "n/a", "None", name)
        for job, state, name in jobs
    )
    states = {"PENDING": JobStatus.QUEUED, "RUNNING": JobStatus.RUNNING, "COMPLETED": JobStatus.DONE}
    assert [(row.job, row.status, row.name) for row in rows.queue_rows(text)] == [
        (str(job), states[state], name.strip()) for job, state, name in jobs
    ]


# --- sacct ----------------------------------------------------------------------------------------


def test_the_history_of_22_05() -> None:
    text = (
        "2_0|CANCELLED by 0|0:0|2026-11-22T11:14:23|2026-11-22T11:14:25|slab1|hello|x\n"
        "2_[10-19%3]|CANCELLED by 1000|0:0|2026-11-22T11:14:26|2026-11-22T11:14:26|None assigned|x\n"
        "3|FAILED|7:0|2026-11-22T11:14:26|2026-11-22T11:14:26|slab2|x\n"
        "3.batch|FAILED|7:0|2026-11-22T11:14:26|2026-11-22T11:14:26|slab2|batch\n"
        "4|RUNNING|0:9|2026-11-22T11:14:26|Unknown|slab2|x\n"
    )
    first, many, failed, running = rows.history_rows(text)
    assert (first.job, first.tasks, first.name, first.host) == ("2", (range(1),), "hello|x", "slab1")
    assert (first.cancelled_by, many.tasks, many.host) == ("by root (uid 0)", (range(10, 20),), "")
    assert (failed.reason, failed.exit_code) == ("exit-code", 7)
    assert (running.ended, running.status) == (None, JobStatus.RUNNING)


@pytest.mark.parametrize(
    ("written", "may_be"), [("15:0", "15 or 143"), ("72:0", "72 or 200"), ("127:0", "127 or 255")]
)
def test_codes_that_the_accounting_does_not_tell_apart_are_both_told(written: str, may_be: str) -> None:
    """Recorded: 143 is written as 15:0, 200 as 72:0, 255 as 127:0. The queue writes them as they are."""
    (row,) = rows.history_rows(f"3|FAILED|{written}|a|b|slab2|x\n")
    assert f"exit code {may_be}" in row.message
    (listed,) = rows.queue_rows(rows.SEPARATOR.join(["3", "N/A", "FAILED", "0", str(143 << 8), *"-----", ""]))
    assert (listed.exit_code, listed.message) == (143, "")


def test_a_code_that_the_accounting_has_taken_128_from_is_no_success() -> None:
    """Recorded: 128 is written as 0:0, with FAILED before it."""
    (row,) = rows.history_rows("3|FAILED|0:0|a|b|slab2|x\n")
    assert (row.reason, row.exit_code) == ("exit-code", 128)


# --- ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N/A", None),
        ("", None),
        ("5", (range(5, 6),)),
        ("3-9:2,12%4", (range(3, 10, 2), range(12, 13))),
        ("0-3,7,9-10", (range(4), range(7, 8), range(9, 11))),
        ("1-2,...", (range(1, 3),)),
    ],
)
def test_tasks(text: str, expected: tuple[range, ...] | None) -> None:
    assert rows.task_ranges(text) == expected


@given(st.sets(st.tuples(st.integers(1, 3), st.none() | st.integers(0, 40))))
def test_compressed_ids_mean_the_same(jobs: set[tuple[int, int | None]]) -> None:
    ids = [SLURM.id_of(str(job), task) for job, task in jobs]
    again: list[str] = []
    for each in condensed(SLURM, ids):
        job, _, tasks = each.partition("_")
        ranges = rows.task_ranges(tasks.strip("[]")) if tasks else ()
        again += [f"{job}_{number}" for some in ranges or () for number in some] or [job]
    assert sorted(again) == sorted(ids)


def test_a_whole_array_is_a_few_arguments() -> None:
    """Parsl#2232: a mass cancel is short."""
    assert condensed(SLURM, (f"7_{task}" for task in range(500) if task != 100)) == [
        "7_[0-99]",
        "7_[101-499]",
    ]


# --- sbatch, scancel, scontrol --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12\n", "12"),
        ("12;cluster\n", "12"),
        ("a word\n12;c\n", "12"),
        ("", None),
        ("no\n", None),
    ],
)
def test_what_sbatch_prints(text: str, expected: str | None) -> None:
    assert SLURM.submitted(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "sbatch: error: invalid partition specified: nope\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
            "invalid partition specified: nope; Invalid partition name specified",
        ),
        ("sbatch: fatal: --mem: bad\n", "--mem: bad"),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", None),
    ],
)
def test_complaints_are_one_line_in_slurms_words(text: str, words: str | None) -> None:
    assert SLURM.error_message(text) == (words or text.strip())
    assert "\n" not in SLURM.error_message(text)


def test_the_ids_that_scancel_refuses() -> None:
    text = (
        "scancel: error: Kill job error on job id 2_0: Job/step already completing or completed\n"
        "scancel: error: Kill job error on job id 9: Invalid job id specified\n"
    )
    assert list(SLURM.cancelled(1, text)) == ["2_0", "9"]


def test_our_id_is_at_the_end_of_a_name() -> None:
    assert job_id_in_name("fit-1.anyjob-0123456789abcdef0123") == "0123456789abcdef0123"
    assert job_id_in_name("anyjob-0123456789abcdef0123") == "0123456789abcdef0123"
    assert job_id_in_name("anyjob-0123") is None
    assert job_id_in_name("anyjob-0123456789abcdef0123 of mine") is None


def test_the_limit_of_arrays() -> None:
    assert SLURM.read_limit("A = 1\nMaxArraySize            = 10001\nMaxB = 2\n") == 10001
    assert SLURM.read_limit("") is None

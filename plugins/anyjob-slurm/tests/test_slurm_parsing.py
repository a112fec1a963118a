"""What Slurm's programs print is read by pure functions; the texts are those of several versions."""

from __future__ import annotations

import time

import pytest
from anyjob_slurm import parsing
from anyjob_slurm.parsing import SEPARATOR, Row
from hypothesis import given
from hypothesis import strategies as st

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
    assert parsing.queue_rows(text) == [
        Row(
            "2",
            (range(1),),
            "RUNNING",
            restarts=0,
            started=at("2026-11-22T11:14:23"),
            ended=at("2026-11-22T12:14:23"),
            host="slab1",
            name="fit",
        )
    ]


def test_pending_tasks_come_in_one_line() -> None:
    text = squeue("2", "3-19%3", "PENDING", "0", "0", "N/A", "N/A", "n/a", "JobArrayTaskLimit", "x")
    (row,) = parsing.queue_rows(text)
    assert (row.tasks, row.reason, row.started, row.host) == ((range(3, 20),), "JobArrayTaskLimit", None, "")


def test_a_job_that_failed_has_its_status_as_wait_gives_it() -> None:
    times = ("2026-11-22T11:19:31", "2026-11-22T11:19:31")
    text = squeue("15", "N/A", "FAILED", "1", "1792", *times, "slab1", "NonZeroExitCode", "a")
    text += squeue("16", "N/A", "CANCELLED", "0", "15", *times, "slab1", "None", "b")
    failed, cancelled = parsing.queue_rows(text)
    assert (failed.tasks, failed.restarts, parsing.exit_code(failed.status)) == (None, 1, (7, None))
    assert parsing.exit_code(cancelled.status) == (None, 15)


def test_lines_of_others_and_newer_fields_are_passed_over() -> None:
    """snakemake-executor-plugin-slurm#38: what a site prints besides is no crash."""
    fields = ("5", "N/A", "PENDING", "N/A", "0", "N/A", "N/A", "n/a", "(Resources)", "x", "a field of 30.11")
    text = "squeue: notice from the site\n\n" + squeue(*fields)
    (row,) = parsing.queue_rows(text)
    assert (row.job, row.restarts, row.reason) == ("5", None, "(Resources)")


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    for read in (parsing.queue_rows, parsing.history_rows, parsing.refused_ids, parsing.error_message):
        read(text)
    parsing.submitted_job(text)
    parsing.array_limit(text)
    parsing.timestamp(text)
    parsing.exit_status(text)
    parsing.task_ranges(text)


NAMES = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"], blacklist_characters=SEPARATOR), max_size=30
)


@given(st.lists(st.tuples(NUMBERS, st.sampled_from(["PENDING", "RUNNING", "COMPLETED"]), NAMES), max_size=5))
def test_names_whatever_they_hold_are_read_back(jobs: list[tuple[int, str, str]]) -> None:
    text = "".join(
        squeue(str(job), "N/A", state, "0", "0", "N/A", "N/A", "n/a", "None", name)
        for job, state, name in jobs
    )
    assert [(row.job, row.state, row.name) for row in parsing.queue_rows(text)] == [
        (str(job), state, name.strip()) for job, state, name in jobs
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
    first, many, failed, running = parsing.history_rows(text)
    assert (first.job, first.tasks, first.name, first.host) == ("2", (range(1),), "hello|x", "slab1")
    assert (many.tasks, many.host, many.state) == ((range(10, 20),), "", "CANCELLED by 1000")
    assert parsing.exit_code(failed.status) == (7, None)
    assert (running.ended, parsing.exit_code(running.status)) == (None, (None, 9))


def test_a_heterogeneous_job_and_its_components_are_not_mistaken() -> None:
    """24.05 writes components as 7+0."""
    assert parsing.history_rows("7+0|COMPLETED|0:0|a|b|c|d\n") == []


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
    assert parsing.task_ranges(text) == expected


@given(st.sets(st.tuples(st.integers(1, 3), st.none() | st.integers(0, 40))))
def test_compressed_ids_mean_the_same(jobs: set[tuple[int, int | None]]) -> None:
    ids = [str(job) if task is None else f"{job}_{task}" for job, task in jobs]
    again: list[str] = []
    for each in parsing.condensed(ids):
        job, tasks = parsing.split_id(each)
        again += [job] if tasks is None else [f"{job}_{number}" for some in tasks for number in some]
    assert sorted(again) == sorted(ids)


def test_a_whole_array_is_one_argument() -> None:
    """Parsl#2232: a mass cancel is short."""
    assert parsing.condensed(f"7_{task}" for task in range(500) if task != 100) == ["7_[0-99,101-499]"]


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
    assert parsing.submitted_job(text) == expected


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
    assert parsing.error_message(text) == (words or text.strip())
    assert "\n" not in parsing.error_message(text)


def test_the_ids_that_scancel_refuses() -> None:
    text = (
        "scancel: error: Kill job error on job id 2_0: Job/step already completing or completed\n"
        "scancel: error: Kill job error on job id 9: Invalid job id specified\n"
    )
    assert parsing.refused_ids(text) == {"2_0", "9"}


def test_our_id_is_at_the_end_of_a_name() -> None:
    assert parsing.job_id_in_name("fit-1.anyjob-0123456789abcdef0123") == "0123456789abcdef0123"
    assert parsing.job_id_in_name("anyjob-0123456789abcdef0123") == "0123456789abcdef0123"
    assert parsing.job_id_in_name("anyjob-0123") is None
    assert parsing.job_id_in_name("anyjob-0123456789abcdef0123 of mine") is None


def test_the_limit_of_arrays() -> None:
    assert parsing.array_limit("A = 1\nMaxArraySize            = 10001\nMaxB = 2\n") == 10001
    assert parsing.array_limit("") is None

"""The words of Grid Engine, as it has written them (8.1.9)."""

from __future__ import annotations

from typing import Any

import pytest
from anyjob_gridengine.backend import GridEngineBackend, GridEngineJobOptions
from anyjob_gridengine.dialect import GridEngine
from anyjob_gridengine.states import status_of, task_ranges

from anyjob import ConfigError, JobStatus, Resources
from anyjob.sdk import Row, Submission

DIALECT = GridEngine()
NAME = "fit.anyjob-0123456789abcdef0123"
LISTING = f"""\
<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd">
  <queue_info>
    <job_list state="running">
      <JB_job_number>881</JB_job_number>
      <JB_name>fit.anyjob</JB_name>
      <state>Rr</state>
      <JAT_start_time>2026-11-28T15:38:56</JAT_start_time>
      <queue_name>all.q@localhost</queue_name>
      <slots>1</slots>
      <tasks>1</tasks>
      <full_job_name>{NAME}</full_job_name>
    </job_list>
  </queue_info>
  <job_info>
    <job_list state="pending">
      <JB_job_number>881</JB_job_number>
      <JB_name>fit.anyjob</JB_name>
      <state>hqw</state>
      <queue_name></queue_name>
      <slots>1</slots>
      <tasks>3,7-9:1</tasks>
      <full_job_name>{NAME}</full_job_name>
    </job_list>
    <job_list state="pending">
      <JB_job_number>900</JB_job_number>
      <JB_name>true</JB_name>
      <state>Eqw</state>
      <queue_name></queue_name>
      <slots>1</slots>
    </job_list>
  </job_info>
</job_info>
"""
RECORD = """\
==============================================================
qname        all.q
hostname     localhost
jobname      fit.anyjob-0123456789abcdef0123
jobnumber    887
taskid       {task}
start_time   Sat Nov 28 15:38:57 2026
end_time     Sat Nov 28 15:39:03 2026
failed       {failed}
exit_status  {code}
ru_wallclock {took}
category     {category}
"""


def submission(
    tasks: int | None = None, options: dict[str, Any] | None = None, **resources: Any
) -> list[str]:
    what = Submission("n.anyjob-1", tasks, Resources(**resources), GridEngineJobOptions(**(options or {})))
    return DIALECT.submit(what)


def recorded(
    failed: str = "0", code: str = "0", task: str = "undefined", took: str = "6s", category: str = "NONE"
) -> list[Row]:
    return list(DIALECT.recorded(RECORD.format(**locals())))


def test_what_is_asked_for_is_said_in_its_words() -> None:
    command = submission(
        7, cpus=4, memory=2**31, walltime=90.5, options={"queue": "long.q", "resources": ("a=1",)}
    )
    assert command[:4] == ["qsub", "-terse", "-N", "n.anyjob-1"]
    joined = " ".join(command)
    for words in ("-t 1-7", "-pe smp 4", "-l a=1,h_rt=91,h_vmem=512M", "-q long.q", "-r n", "-notify"):
        assert words in joined
    assert {"-pe", "-t"}.isdisjoint(submission())
    assert "-t 1-7 -tc 2" in " ".join(submission(7, options={"throttle": 2}))
    assert "-tc" not in submission(options={"throttle": 2})
    assert "-l gpu=2" in " ".join(submission(gpus=2, options={"gpu_resource": "gpu"}))


@pytest.mark.parametrize(("resources", "words"), [({"nodes": 2}, "nodes=2"), ({"gpus": 1}, "gpu_resource")])
def test_what_it_has_no_words_for_is_refused(resources: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        submission(**resources)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"extra": ["-V"]}, "is anyjob's to set"),
        ({"extra": ["-q"]}, "set `queue`"),
        ({"resources": ["a=1,b=2"]}, "is no resource"),
        ({"setup": ["a\nb"]}, "line break"),
        ({"queue": "a\n-V"}, "line break"),
    ],
)
def test_options_that_could_say_something_else_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        GridEngineBackend.from_options("hpc", options)


@pytest.mark.parametrize(
    ("text", "job"),
    [("7\n", "7"), ("881.1-7:3\n", "881"), ("Welcome!\n12\n", "12"), ("", None), ("no", None)],
)
def test_the_id_is_read_out_of_what_it_answers(text: str, job: str | None) -> None:
    assert DIALECT.submitted(text) == job


def test_a_listing_is_read() -> None:
    running, waiting, stuck = DIALECT.listed(LISTING)
    assert (running.job, running.tasks, running.status) == ("881", (range(1, 2),), JobStatus.RUNNING)
    assert (running.name, running.host, running.requeued) == (NAME, "localhost", True)
    assert (waiting.tasks, waiting.status, waiting.message) == (
        (range(3, 4), range(7, 10)),
        JobStatus.QUEUED,
        "held",
    )
    assert (stuck.job, stuck.tasks, stuck.stuck, stuck.name) == ("900", None, True, "true")
    assert list(DIALECT.listed("")) == []


@pytest.mark.parametrize(
    ("state", "status", "message"),
    [
        ("qw", JobStatus.QUEUED, ""),
        ("hqw", JobStatus.QUEUED, "held"),
        ("Rq", JobStatus.QUEUED, ""),
        ("Eqw", JobStatus.QUEUED, "in an error state"),
        ("t", JobStatus.RUNNING, ""),
        ("r", JobStatus.RUNNING, ""),
        ("dr", JobStatus.RUNNING, "being deleted"),
        ("S", JobStatus.RUNNING, "suspended"),
        ("hr", JobStatus.RUNNING, ""),
    ],
)
def test_letters_are_states(state: str, status: JobStatus, message: str) -> None:
    assert status_of(state) == (status, message)


def test_a_job_that_has_ended_well_is_read() -> None:
    (row,) = recorded(task="4")
    assert (row.job, row.tasks, row.status, row.exit_code) == ("887", (range(4, 5),), JobStatus.DONE, 0)
    assert (row.host, row.ended - row.started) == ("localhost", 6.0)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("failed", "code", "category", "reason", "number"),
    [
        ("0", "3", "NONE", "exit-code", 3),
        ("0", "255                  (Unknown signal 127)", "NONE", "exit-code", 255),
        ("100 : assumedly after job", "137                  (Killed)", "NONE", "signal", 9),
        (
            "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
            "137 (Killed)",
            "-l h_rt=5",
            "walltime",
            None,
        ),
        (
            "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
            "137",
            "-l h_rt=60,h_vmem=9M",
            "memory",
            None,
        ),
        ("28  : changing into working directory", "0", "NONE", "node-failure", None),
    ],
)
def test_how_a_job_has_ended_is_read(
    failed: str, code: str, category: str, reason: str, number: int | None
) -> None:
    (row,) = recorded(failed, code, category=category)
    assert (row.status, row.reason) == (JobStatus.ERROR, reason)
    assert number in (row.exit_code, row.signal)


def test_a_start_that_was_not_the_last_is_no_end() -> None:
    """Exit code 99, and a requeue: each start has a record."""
    assert recorded("25  : rescheduling", "99") == []


def test_what_a_cancel_was_refused_for_is_read() -> None:
    text = (
        'denied: job "999999" does not exist\nroot has deleted job 884\njob "5" task "99" does not exist\n'
        "root has registered the job 886 for deletion\n"
    )
    assert list(DIALECT.cancelled(1, text)) == ["999999", "5.99"]


def test_the_reason_of_an_error_state_is_read() -> None:
    text = (
        "job_number:                 900\n"
        "error reason          1:      11/28/2026 15:39:17 [0:31771]: error: can't chdir to /no/such: none\n"
        "scheduling info:            Job is in error state\n"
    )
    assert DIALECT.pending_reason(text) == "error: can't chdir to /no/such: none"


CANNOT = """\
job_number:                 37
job_name:                   sleep
job_type:                   binary
scheduling info:            cannot run in PE "smp" because it only offers 0 slots
Job 37 cannot run in PE "smp" because it only offers 0 slots
verification: no suitable queues
"""


def test_what_the_scheduler_has_against_a_job_is_read() -> None:
    """Recorded of Grid Engine 8.1.9, of `-pe smp 5000`."""
    why = 'cannot run in PE "smp" because it only offers 0 slots'
    assert DIALECT.pending_reason(CANNOT) == f"no queue can ever run it as it is: {why}"
    without_info = "".join(line for line in CANNOT.splitlines(True) if "scheduling" not in line)
    assert DIALECT.pending_reason(without_info) == f"no queue can ever run it as it is: {why}"
    held = "job_number: 38\nscheduling info:            Job is in hold state\n"
    assert DIALECT.pending_reason(held + "verification: job is already running or is held\n") == ""
    fits = CANNOT.replace("verification: no suitable queues", "verification: found suitable queue(s)")
    assert DIALECT.pending_reason(fits) == why
    assert DIALECT.pending_reason("job_number: 39\nverification: found suitable queue(s)\n") == ""


def test_ids_are_made_and_taken_apart() -> None:
    assert [DIALECT.id_of("7"), DIALECT.id_of("7", 3), DIALECT.id_of("7", 3, 5)] == ["7", "7.3", "7.3-5"]
    assert [DIALECT.split_id("7"), DIALECT.split_id("7.3")] == [("7", None), ("7", 3)]
    assert (task_ranges(""), task_ranges("1-7:3")) == (None, (range(1, 8, 3),))

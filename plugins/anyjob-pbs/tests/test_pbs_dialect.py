"""The words of PBS, as OpenPBS 23.06 has written them (`recorded`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from anyjob_pbs.backend import PBSBackend, PBSJobOptions
from anyjob_pbs.dialect import PBS, fields, how_it_ended, timestamp, where_it_is

from anyjob import ConfigError, JobStatus, Resources
from anyjob.sdk import Row, Submission

DIALECT = PBS()
RECORDED = Path(__file__).with_name("recorded")
CANCELLED, DONE, ERROR = JobStatus.CANCELLED, JobStatus.DONE, JobStatus.ERROR


def rows(name: str) -> list[Row]:
    return list(DIALECT.listed((RECORDED / name).read_text()))


def submission(
    tasks: int | None = None, options: dict[str, Any] | None = None, **resources: Any
) -> list[str]:
    what = Submission("n.anyjob-1", tasks, Resources(**resources), PBSJobOptions(**(options or {})))
    return DIALECT.submit(what)


def test_what_is_asked_for_is_said_in_its_words() -> None:
    plain = ["qsub", "-C", "", "-N", "n.anyjob-1", "-S", "/bin/bash", "-j", "oe", "-o", "/dev/null"]
    assert submission() == [*plain, "-r", "n", "-l", "select=1:ncpus=1"]
    said = submission(
        3,
        {"queue": "long", "chunk": ["mpiprocs=4"], "place": "scatter", "resources": ["matlab=1"]},
        cpus=4,
        memory=2**30 + 1,
        gpus=1,
        nodes=2,
        walltime=90.5,
        restartable=True,
    )
    select = "select=2:ncpus=4:mem=1025mb:ngpus=1:mpiprocs=4"
    more = ["-l", select, "-l", "place=scatter", "-l", "walltime=91", "-l", "matlab=1"]
    assert said == [*plain, "-r", "y", "-J", "0-2", "-q", "long", *more]
    throttled = submission(3, {"throttle": 2})
    assert throttled[throttled.index("-J") + 1] == "0-2%2"


@pytest.mark.parametrize(
    "options",
    [
        {"extra": ["-o", "x"]},
        {"extra": ["-Jx"]},
        {"extra": ["-q", "x"]},
        {"extra": ["--", "sh"]},
        {"extra": ["-W", "block=true"]},
        {"chunk": ["a=1:b=2"]},
        {"resources": ["nothing"]},
    ],
)
def test_what_is_anyjobs_to_say_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        PBSBackend.from_options("hpc", options)


@pytest.mark.parametrize(("text", "job"), [("1.pbshost\n", "1.pbshost"), ("2[].pbshost\n", "2[].pbshost")])
def test_the_id_of_a_submission_is_read(text: str, job: str) -> None:
    assert DIALECT.submitted(text) == job
    assert DIALECT.submitted("qsub: waiting\n") is None


def test_ids_are_written_and_taken_apart() -> None:
    assert DIALECT.id_of("2[].pbshost", 3) == "2[3].pbshost"
    assert DIALECT.id_of("2[3].pbshost", 3) == "2[3].pbshost"  # as a job knows itself
    assert DIALECT.id_of("2[].pbshost", 3, 5) == "2[3-5].pbshost"
    assert DIALECT.split_id("2[3].pbs.host") == ("2[].pbs.host", 3)
    assert DIALECT.split_id("2.pbshost") == ("2.pbshost", None)


def test_a_listing_is_read() -> None:
    found = rows("fixture_all_dsv.txt")
    assert [(row.job, row.tasks, row.status) for row in found] == [
        ("2517.pbshost", None, JobStatus.QUEUED),
        ("2518.pbshost", None, JobStatus.RUNNING),
        *(("2519[].pbshost", (range(n, n + 1),), JobStatus.RUNNING) for n in (0, 3, 6, 9)),
        ("2521.pbshost", None, JobStatus.QUEUED),
    ]
    assert {row.owner for row in found} == {"user"}
    assert (found[0].message, found[1].host, found[1].name) == ("held", "pbshost", "runner")
    assert found[1].started == timestamp("Sat Nov 28 15:45:40 2026")


def test_an_array_that_has_ended_is_read() -> None:
    found = rows("arr_end_dsv.txt")
    assert [(row.tasks, row.reason, row.signal) for row in found] == [
        ((range(n, n + 1),), "signal", 9) for n in (3, 6, 9)
    ]


def test_values_with_separators_are_no_fields() -> None:
    """PBS writes a backslash before a | in a value, and another before a backslash."""
    said = fields(r"Job Id: 1.h|Job_Name=a|Variable_List=A=x\|job_state=F,B=\\|job_state=R|comment=a\nb")
    assert said["job_state"] == "R"
    assert fields("qstat: what else it says\n") == {}


@pytest.mark.parametrize(
    ("code", "substate", "expected"),
    [
        ("0", "92", (DONE, None, 0, None)),
        ("3", "93", (ERROR, "exit-code", 3, None)),
        ("255", "93", (ERROR, "exit-code", 255, None)),
        ("254", "93", (ERROR, "exit-code", 254, None)),  # there is no such shell
        ("137", "93", (ERROR, "signal", None, 9)),  # of what a login shell has started
        ("265", "93", (ERROR, "signal", None, 9)),  # of the shell
        ("266", "93", (ERROR, "signal", None, 10)),
        ("-29", "93", (ERROR, "walltime", None, None)),
        ("-27", "93", (ERROR, "memory", None, None)),
        ("-3", "93", (ERROR, "node-failure", None, None)),
        ("271", "91", (CANCELLED, None, None, None)),
        ("7", "91", (CANCELLED, None, None, None)),  # it traps TERM, and ends with 7
        ("", "91", (CANCELLED, None, None, None)),  # while it waited
        ("", "92", (CANCELLED, None, None, None)),  # by a dependency: the substate is that of success
        ("", "70", (CANCELLED, None, None, None)),  # a task that has not started
        ("1", "91", (CANCELLED, None, None, None)),  # the same, once its array has ended
    ],
)
def test_ends_as_they_were_recorded(code: str, substate: str, expected: tuple[Any, ...]) -> None:
    said = {"job_state": "F", "substate": substate, **({"Exit_status": code} if code else {})}
    row = Row("1.h", **how_it_ended(said))
    assert (row.status, row.reason, row.exit_code, row.signal) == expected


@pytest.mark.parametrize(
    ("said", "stuck"),
    [
        ({"job_state": "H", "Hold_Types": "s", "run_count": "21"}, True),  # it has failed too often
        ({"job_state": "H", "Hold_Types": "s"}, False),  # it waits for another job
        ({"job_state": "H", "Hold_Types": "u", "run_count": "1"}, False),
        ({"job_state": "Q", "comment": "Can Never Run: Insufficient amount of resource: ncpus"}, False),
    ],
)
def test_what_waits_says_why_and_whether_it_will_start(said: dict[str, str], stuck: bool) -> None:
    row = Row("1.h", **where_it_is(said))
    assert (row.status, row.stuck) == (JobStatus.QUEUED, stuck)
    assert row.message == said.get("comment", "held")


def test_refused_cancels_are_read() -> None:
    text = """\
qdel: Unknown Job Id 999999.pbshost
qdel: Job has finished 3.pbshost
qdel: Unauthorized Request  221.pbshost
qdel: Server could not connect to MOM 2233.pbshost
qdel: Request invalid for state of job 2501.pbshost
qdel: Unknown Job Id 7[3-4].pbshost
"""
    refused = [f"{number}.pbshost" for number in ("999999", "3", "221", "2233", "2501", "7[3]", "7[4]")]
    assert list(DIALECT.cancelled(222, text)) == refused


def test_few_are_asked_about_by_their_ids_and_many_by_none() -> None:
    """Each id costs PBS a privileged connection: 1,000 took 64 seconds, and the ports."""
    assert DIALECT.history(["1.h", "2[].h"], "user", 0)[-2:] == ["1.h", "2[].h"]
    assert DIALECT.history([f"{number}.h" for number in range(1000)], "user", 0)[-1] == "dsv"

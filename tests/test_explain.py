"""Why a job waits or has failed: the words, of what is known; and ``anyjob explain`` with real jobs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import invoke
from support.waiting import wait_until

import anyjob
from anyjob import Call, Command
from anyjob.cli.app import COMMANDS
from anyjob.views import log_tails
from anyjob.views.explanation.ending import _REASONS
from anyjob.views.explanation.explain import explain
from anyjob.views.explanation.facts import Explanation, Facts, Other
from anyjob.views.queries import Alike

NOW = 10_000.0
MIB = 1 << 20
KNOWN: dict[str, Any] = {
    "job_id": "3f2a91c0" + "0" * 12,
    "name": "fit",
    "backend": "hpc",
    "state": "ERROR",
    "reason": None,
    "message": "",
    "queue_position": None,
    "submitted": 1000.0,
    "started": 2000.0,
    "finished": 5600.0,
    "exit_code": None,
    "signal": None,
    "host": "n3",
    "python": "",
    "spool": None,
    "peak_memory": None,
    "cpu_time": None,
    "traceback": "",
    "resources": {},
    "superseded_by": None,
    "attempt": 1,
}


def told(facts: dict[str, Any] | None = None, **found: Any) -> Explanation:
    return explain(Facts(found={**KNOWN, **found}, now=NOW, **(facts or {})))


def text(told: Explanation) -> str:
    return "\n".join([told.headline, *told.why, "ways out:", *told.ways_out])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"reason": "exit-code", "exit_code": 3, "message": "exit code 3"},
            ["exit code 3", "anyjob logs 3f2a91c0"],
        ),
        ({"reason": "exit-code", "exit_code": 127}, ["was not found", "PATH"]),
        (
            {"reason": "exit-code", "exit_code": 127, "kind": "python"},
            ["the Python that was to run the call was not found", "anyjob rerun 3f2a91c0"],
        ),
        ({"reason": "exit-code", "exit_code": 126}, ["cannot be executed", "chmod +x"]),
        (
            {"reason": "exit-code", "exit_code": 137, "peak_memory": 512 * MIB},
            ["SIGKILL", "512.0 MiB", "--memory 1GiB"],
        ),
        (
            {
                "reason": "exception",
                "message": "ValueError: x",
                "traceback": '  File "a.py", line 3, in f\n    g()\n',
            },
            ["ValueError: x", 'raised at File "a.py", line 3, in f', "anyjob show 3f2a91c0 --json"],
        ),
        (
            {"reason": "missing-module", "python": "/usr/bin/python3"},
            ["/usr/bin/python3", "install it for that interpreter"],
        ),
        ({"reason": "signal", "signal": 9}, ["SIGKILL", "memory runs out", "--memory 256MiB"]),
        ({"reason": "signal", "signal": 11}, ["SIGSEGV", "PYTHONFAULTHANDLER"]),
        ({"reason": "signal", "signal": 15}, ["SIGTERM came from outside", "anyjob rerun 3f2a91c0"]),
        ({"reason": "signal", "signal": 64}, ["anyjob logs 3f2a91c0"]),
        ({"reason": "walltime", "resources": {"walltime": 3600.0}}, ["asked for 1h", "--walltime 2h"]),
        ({"reason": "walltime"}, ["no walltime: its queue has one", "--walltime 2h"]),
        (
            {"reason": "memory", "resources": {"memory": 4096 * MIB}, "peak_memory": 4095 * MIB},
            ["asked for 4GiB", "4.0 GiB at its most", "--memory 8GiB"],
        ),
        ({"reason": "node-failure"}, ["it ran on n3", "anyjob rerun 3f2a91c0"]),
        ({"reason": "lost", "spool": "/s/3f"}, ["nobody knows", "/s/3f", "restartable=True"]),
        (
            {"reason": "rejected", "resources": {"cpus": 99}},
            ["asked for cpus 99", "anyjob backends show hpc"],
        ),
        ({"reason": "dependency"}, ["never started", "anyjob show 3f2a91c0"]),
        ({"reason": "of-a-plugin"}, ["reason of-a-plugin", "anyjob logs 3f2a91c0"]),
        ({"state": "CANCELLED"}, ["was cancelled after 1h00m", "anyjob rerun 3f2a91c0"]),
        ({"state": "CANCELLED", "superseded_by": "77777777aa"}, ["run anew since, as 77777777"]),
        ({"state": "DONE"}, ["has succeeded after 1h00m"]),
        (
            {
                "state": "DONE",
                "resources": {"memory": 8192 * MIB, "cpus": 4},
                "peak_memory": 5 * MIB,
                "cpu_time": 3600.0,
            },
            ["needed 5.0 MiB of the 8GiB", "kept 1.0 of the 4 cpus busy"],
        ),
    ],
)
def test_what_has_ended_is_told_with_the_way_out(found: dict[str, Any], said: list[str]) -> None:
    """hyperqueue's `task explain`: and of what has failed, too."""
    for words in said:
        assert words in text(told(**found))


def test_every_reason_of_the_reference_is_explained() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "outcomes.md").read_text()
    listed = [
        line.split("`")[1] for line in page.partition("## Reasons")[2].splitlines() if line.startswith("| `")
    ]
    assert set(listed) == set(_REASONS)
    for reason in listed:
        assert told(reason=reason).ways_out, reason


@pytest.mark.parametrize(
    ("facts", "found", "said"),
    [
        (
            {},
            {"message": "others are before it (Priority)", "queue_position": 4},
            ["2h30m on hpc: others", "position 4"],
        ),
        ({}, {}, ["hpc does not say why"]),
        ({"takes": {"cpus": 4, "memory": 8192 * MIB}}, {}, ["asks for cpus 4, memory 8GiB"]),
        (
            {"due": 8.2, "attempts": 4, "before": ("attempt 1 ended by exit-code: exit code 3",)},
            {"attempt": 2},
            ["goes again in 8 s: attempt 2 of 4", "attempt 1 ended by exit-code", "anyjob cancel 3f2a91c0"],
        ),
        ({"is_released": True}, {}, ["about to be handed to hpc"]),
        ({"is_held": True}, {}, ["is held", "anyjob release 3f2a91c0"]),
        ({"is_cancelling": True}, {}, ["is being cancelled"]),
        ({"elsewhere": "moon"}, {}, ["is on host moon", "log in to moon"]),
        (
            {"waits_for": (Other("a" * 20, "prep", "QUEUED"),)},
            {},
            ["before another job has ended", "anyjob explain aaaaaaaa"],
        ),
        (
            {"waits_for": tuple(Other(f"{n:020}", "", "RUNNING") for n in range(7))},
            {},
            ["before 7 jobs have ended", "… and 2 more"],
        ),
        (
            {
                "there": {"cpus": 4, "memory": 16384 * MIB},
                "takes": {"cpus": 1, "memory": 8192 * MIB},
                "running": (Other("b" * 20, "big", "RUNNING", 60, {"cpus": 1, "memory": 12288 * MIB}),),
            },
            {"queue_position": 1},
            [
                "waits for 8GiB of memory",
                "12GiB of 16GiB of memory are taken by 1 job, and it takes 8GiB",
                "bbbbbbbb (big)",
            ],
        ),
        (
            {
                "there": {"cpus": 2},
                "takes": {"cpus": 1},
                "running": (Other("b" * 20, "", "RUNNING", 60, {"cpus": 2}),),
            },
            {"queue_position": 3},
            [
                "waits for a slot",
                "position 3 in the queue: 2 jobs before it",
                "anyjob priority 3f2a91c0 10",
                "anyjob backends set hpc slots=N",
            ],
        ),
        (
            {"there": {"cpus": 2}, "takes": {"cpus": 1}},
            {"queue_position": 2, "resources": {"priority": 10}},
            ["anyjob priority 3f2a91c0 20"],
        ),
        (
            {"there": {"cpus": 2}, "takes": {"cpus": 1}},
            {"queue_position": 2},
            ["waits for its turn", "1 job before it"],
        ),
        ({"there": {"cpus": 2}, "takes": {"cpus": 1}}, {"submitted": NOW - 1}, ["is about to start"]),
        ({"there": {"cpus": 2}, "takes": {"cpus": 1}}, {}, ["could start, and does not", "anyjob doctor"]),
        (
            {},
            {"state": "RUNNING", "resources": {"walltime": 9000.0}},
            ["runs, for 2h13m", "16m40s are left of its walltime of 2h30m"],
        ),
        ({}, {"state": "RUNNING", "resources": {"walltime": 60.0}}, ["of 1m is over"]),
        (
            {"room": (9 * MIB, 4 * MIB), "there": {"cpus": 2}, "takes": {"cpus": 1}},
            {"spool": "/s/3f"},
            ["room on the disk", "take 9.0 MiB", "anyjob prune"],
        ),
        ({"is_paused": True}, {"state": "RUNNING"}, ["is paused", "anyjob resume 3f2a91c0"]),
        ({"is_cancelling": True}, {"state": "RUNNING"}, ["is being cancelled: it runs still"]),
        (
            {"alike": Alike(3, 3, longest=60.0)},
            {"state": "RUNNING"},
            ["took 1m00s at most", "anyjob cancel 3f2a91c0"],
        ),
    ],
)
def test_what_has_not_ended_is_told_with_the_way_out(
    facts: dict[str, Any], found: dict[str, Any], said: list[str]
) -> None:
    """hyperqueue's `task explain`: why is it not running."""
    unstarted = {} if found.get("state") == "RUNNING" else {"state": "QUEUED", "started": None}
    for words in said:
        assert words in text(told(facts, **{**unstarted, "finished": None, **found}))


@pytest.mark.parametrize(
    ("found", "seconds", "is_told"),
    [
        ({}, [0.1] * 50, True),
        ({}, [0.1] * 49, False),
        ({}, [5.0] * 50, False),
        ({"backend_options": {"isolation": "reuse"}}, [0.1] * 50, False),
        ({"resources": {"memory": MIB}}, [0.1] * 50, False),
        ({"kind": "command"}, [0.1] * 50, False),
        ({"backend_type": "slurm"}, [0.1] * 50, False),
    ],
)
def test_many_short_calls_are_told_of_warm_processes(
    found: dict[str, Any], seconds: list[float], is_told: bool
) -> None:
    call = {"state": "DONE", "kind": "python", "backend_type": "local", "backend_options": {}}
    said = text(told({"alike": Alike(seconds=tuple(seconds))}, **{**call, **found}))
    assert ('isolation = "reuse"' in said) is is_told


def test_others_that_failed_alike_on_one_machine_point_at_it() -> None:
    alike = Alike(9, 4, ("a" * 20, "b" * 20), (("n3", 2),))
    said = text(told({"alike": alike}, reason="exit-code", exit_code=1))
    assert "of 9 other jobs of the name fit 2 failed for this reason, and 4 are done" in said
    assert "all of these ran on n3, as this one did" in said
    assert "ran on n4" not in text(told({"alike": alike._replace(hosts=(("n4", 2),))}, reason="exit-code"))


def test_the_first_cause_is_named() -> None:
    cause = Other("c" * 20, "prep", "ERROR")
    said = text(told({"cause": cause}, reason="dependency"))
    assert "the first cause is cccccccc (prep), ERROR" in said
    assert "anyjob rerun cccccccc --downstream" in said


def test_the_end_of_what_a_job_wrote_is_bounded_and_moves_no_cursor(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(b"x" * 3_000_000 + b"\n  0%\r 50%\r100%\r\n\n\x1b[2Jevil\xff\n")
    (tmp_path / "stderr").write_bytes(b"\0\n" * 50)
    lines = log_tails.of_spool(tmp_path, 3)
    assert [len(line) for line in lines["stdout"]] == [log_tails.LONGEST_LINE, 4, 12]
    assert lines["stdout"][1:] == ["100%", "\\x1b[2Jevil\ufffd"]
    assert lines["stderr"] == ["\\x00"] * 3
    assert log_tails.of_spool(tmp_path / "none", 3) == {}
    assert log_tails.of_chunks([b"a\n", b"b\nc\n"], 2) == ["b", "c"]
    assert log_tails.of_chunks([b"y" * MIB] * 20, 2)[-1].startswith("… and more")


# --- the command ----------------------------------------------------------------------------------


def submit(argv: list[str], **resources: Any) -> Any:
    return anyjob.get_backend("local").run(Command(argv), **resources)


def shown(job: Any, *options: str) -> str:
    done = invoke("explain", str(getattr(job, "job_id", lambda: job)()), *options)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("local_cli")
def test_explain_of_jobs_that_failed_alike_and_of_what_came_after_them() -> None:
    jobs = [submit(["sh", "-c", "echo '\x1b[2Jevil' >&2; exit 3"], name="e\x1b[1mvil") for _ in range(2)]
    behind = submit(["true"], after=[jobs[0]])
    anyjob.wait([*jobs, behind], timeout=60)
    said = shown(jobs[1])
    assert "(e\\x1b[1mvil) on local: ERROR" in said
    assert "| \\x1b[2Jevil" in said
    assert "of 1 other jobs of the name e\\x1b[1mvil 1 failed for this reason" in said
    assert "evil" not in shown(jobs[1], "--lines", "0").partition("The last")[2]
    assert f"the first cause is {jobs[0].job_id()[:8]}" in shown(behind)
    told = json.loads(shown(jobs[1], "--json"))
    assert (told["reason"], told["last_lines"]["stderr"]) == ("exit-code", ["\\x1b[2Jevil"])
    assert told["ways_out"][0].startswith("read what it wrote: anyjob logs")


@pytest.mark.usefixtures("local_cli")
def test_explain_tells_of_attempts_and_of_slots_that_were_set() -> None:
    """cromwell#4346: what is tried again says so, and when."""
    backend: Any = anyjob.get_backend("local", slots=3)
    job = backend.run(Command(["sh", "-c", "exit 3"]), retries=anyjob.Retry(1, wait=3600))
    again = backend.run(Command(["sh", "-c", "exit 4"]), retries=1)
    wait_until(lambda: "goes again in" in shown(job))
    said = shown(job)
    assert "attempt 2 of 2" in said
    assert "waits for its turn" not in invoke("show", job.job_id()).stdout
    assert "attempt 1 ended by exit-code: exit code 3" in said
    again.wait_for_final_state(60)
    assert "it was attempt 2 of 2" in shown(again)
    assert json.loads(shown(job, "--json"))["there_is"]["cpus"] == 3
    ledger = anyjob.default_session().ledger
    ledger.set_options(ledger.rows([job.job_id()])[job.job_id()].backend, {"slots": 5})
    assert json.loads(shown(job, "--json"))["there_is"]["cpus"] == 5
    assert backend.cancel_many([job]) == [True]


@pytest.mark.usefixtures("local_cli")
def test_of_a_call_whose_python_is_gone_rerun_is_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment was removed while the call waited."""
    (python := tmp_path / "python").symlink_to(sys.executable)
    backend, gone = anyjob.get_backend("local"), tmp_path / "gone"
    first = backend.run(Command(["sh", "-c", 'until [ -e "$0" ]; do sleep 0.05; done', str(gone)]))
    with monkeypatch.context() as submitter:
        submitter.setattr("anyjob.execution.interpreter._found", str(python))
        job = backend.run(Call(len, ("abc",)), after=first)
    python.rename(gone)
    job.wait_for_final_state(60)
    said = shown(job)
    assert f"cannot start: '{python}' is not there" in said
    assert f"anyjob rerun {job.job_id()[:8]}" in said
    assert "PATH" not in said
    assert invoke("rerun", job.job_id()).stdout == "3\n"


@pytest.mark.usefixtures("local_cli")
def test_explain_of_what_waits_names_what_holds_the_slots() -> None:
    backend = anyjob.get_backend("local", slots=1)
    runs = backend.run(Command(["sleep", "60"]), name="holder")
    wait_until(lambda: runs.status().name == "RUNNING")
    waits, held = backend.run(Command(["true"])), backend.run(Command(["true"]))
    after = backend.run(Command(["true"]), after=[waits])
    last = backend.run(Command(["true"]))
    try:
        anyjob.hold([held])
        assert "position 2 in the queue: 1 job before it" in shown(last)  # what is held is before nobody
        anyjob.set_priority([last], 5)
        assert "waits for a slot" in shown(last)
        assert "position" not in shown(last).partition("can be done")[0]
        assert "position 2 in the queue: 1 job before it" in shown(waits)
        assert invoke("release", waits.job_id()).stdout == "1 not released: only what is held can be\n"
        said = shown(waits)
        assert "waits for a slot" in said
        assert f"{runs.job_id()[:8]} (holder), RUNNING" in said
        assert f"anyjob release {held.job_id()[:8]}" in shown(held)
        assert "may not start before another job has ended" in shown(after)
        assert "runs, for" in shown(runs)
        found = json.loads(shown(waits, "--json"))
        assert [each["name"] for each in found["running"]] == ["holder"]
        assert (found["takes"]["cpus"], found["there_is"]["cpus"]) == (1, 1)
    finally:
        anyjob.default_session().cancel([last, after, held, waits, runs])


def test_explain_is_told_of_an_unknown_job(local_cli: Path) -> None:
    assert "no job 'nothing'" in invoke("explain", "nothing").stderr
    assert "explain" in COMMANDS

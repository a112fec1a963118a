"""The commands for jobs that start after others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import invoke
from support.waiting import wait_until

import anyjob as library
from anyjob import Command, JobStatus
from anyjob.session.default import default_session

pytestmark = pytest.mark.usefixtures("local_cli")


def submit(text: str, **given: Any) -> Any:
    return library.get_backend("local").run(Command(["sh", "-c", text]), **given)


def again(job: Any) -> Any:
    """Return another handle on a job: a command of this process has closed the backend of the one before."""
    return library.get_job(job.job_id())


def opened(name: str = "gate") -> str:
    """A job's program that waits until a file is there."""
    return f"until [ -e {Path(name).absolute()} ]; do sleep 0.02; done"


def test_run_after_ids_and_names() -> None:
    one = submit("exit 3", name="fit").job_id()
    done = invoke("run", "--after-failure", one[:9], "--after-end", "fit", "--", "echo", "mended")
    assert (done.exit_code, done.stdout) == (0, "mended\n"), done.stderr
    done = invoke("run", "--after", "fit", "--json", "--", "echo", "never")
    assert done.exit_code not in (0, 3), done.stderr
    told = json.loads(done.stderr.splitlines()[-1])
    assert (told["state"], told["reason"]) == ("ERROR", "dependency")
    assert f"job {one} (fit) failed" in told["message"]
    done = invoke("run", "--after", "fitt", "--", "true")
    assert "no job 'fitt' to start after" in done.stderr
    assert "did you mean 'fit'?" in done.stderr
    done = invoke("run", "-b", "threads", "--after-failure", one[:9], "--", "echo", "here")
    assert (done.exit_code, done.stdout) == (0, "here\n"), done.stderr


def test_a_cancel_of_a_job_alone() -> None:
    first = submit(opened(), name="fit")
    behind = submit("echo without", after=first)
    done = invoke("cancel", "--no-downstream", first.job_id())
    assert (done.exit_code, done.stdout) == (0, "1 cancelled\n"), done.stderr
    assert again(behind).result(60).stdout.text() == "without\n"


def test_what_waits_is_listed_and_shown_with_what_it_waits_for() -> None:
    first, other = submit(opened(), name="fit-1"), submit("true", name="fit-1")
    done = invoke("run", "--detach", "--after", "fit-1", "--name", "report", "--", "true")
    behind = done.stdout.strip()
    again(other).result(60)
    wait_until(lambda: again(first).running())
    words = f"waits for {first.job_id()[:7]} (fit-1)"
    done = invoke("jobs", "--waiting")
    assert words in done.stdout
    assert "report" in done.stdout
    assert behind[:7] in done.stdout
    assert len(done.stdout.splitlines()) == 2, "what it waits for is none of them"
    (listed,) = json.loads(invoke("jobs", "--waiting", "--json").stdout)
    assert (listed["job_id"], listed["state"], listed["message"]) == (behind, "QUEUED", words)
    assert words in invoke("jobs", "--columns", "message", "--name", "report").stdout
    shown = invoke("show", behind).stdout
    assert words in shown
    assert f"{first.job_id()} (fit-1), RUNNING" in shown
    assert f"{other.job_id()} (fit-1), DONE" in shown
    prerequisites = json.loads(invoke("show", behind, "--json").stdout)["prerequisites"]
    assert {(one["job_id"], one["condition"]) for one in prerequisites} == {
        (first.job_id(), "after"),
        (other.job_id(), "after"),
    }
    assert invoke("jobs", "--waiting", "--state", "done").exit_code == 125
    Path("gate").touch()
    assert invoke("wait", behind).exit_code == 0
    assert json.loads(invoke("jobs", "--waiting", "--json").stdout) == []


def test_what_waits_is_cancelled() -> None:
    first = submit(opened())
    behind = submit("true", after=first)
    last = submit("true", after=behind)
    done = invoke("cancel", behind.job_id())
    assert done.exit_code == 0, done.stderr
    assert again(behind).status() is JobStatus.CANCELLED
    assert again(last).outcome(60).reason == "dependency"
    Path("gate").touch()
    assert again(first).result(60).exit_code == 0


def test_what_failed_is_run_anew_with_what_waited_for_it() -> None:
    fit = submit("test -e mended", name="fit-2")
    evaluate = submit("echo evaluated", name="evaluate-2", after=fit)
    report = submit("echo reported", name="report-2", after=[evaluate, fit])
    aside = submit("echo aside", name="aside-2", after_end=fit)
    alarm = submit("echo alarm", name="alarm-2", after_failure=fit)
    apart = submit("echo apart", name="apart-2")
    assert report.outcome(60).reason == "dependency"
    assert [one.result(60).exit_code for one in (aside, alarm, apart)] == [0, 0, 0]
    Path("mended").touch()
    done = invoke("rerun", "--downstream", "--yes", "--name", "fit-2")
    assert done.exit_code == 0, done.stderr
    names = ("fit", "evaluate", "report", "aside", "alarm", "apart")
    new = {name: library.jobs(name=f"{name}-2") for name in names}
    assert {name: len(some) for name, some in new.items()} == dict.fromkeys(new, 1)
    assert new["aside"][0].job_id() != aside.job_id(), "it tells of what has failed then"
    assert [new[one][0].job_id() for one in ("alarm", "apart")] == [alarm.job_id(), apart.job_id()]
    ledger = default_session().ledger
    of_report = {one.job_id for one in ledger.dependencies.prerequisites(new["report"][0].job_id())}
    assert of_report == {new["fit"][0].job_id(), new["evaluate"][0].job_id()}
    times = [new[name][0].outcome() for name in ("fit", "evaluate", "report")]
    assert [one.status for one in times] == [JobStatus.DONE] * 3
    assert times[0].finished <= times[1].started
    assert times[1].finished <= times[2].started


def test_what_was_made_of_an_old_result_is_made_of_the_new_one() -> None:
    """Also where a step between has been run anew alone."""
    fit = submit("echo $RANDOM >> fitted", name="fit-4")
    evaluate = submit("wc -l < fitted; test -e mended", name="evaluate-4", after=fit)
    report = submit("cat evaluated", name="report-4", after=evaluate)
    assert report.outcome(60).reason == "dependency"
    Path("mended").touch()
    assert invoke("rerun", "--yes", "evaluate-4").exit_code == 0
    assert again(report).outcome().reason == "dependency", "nobody has asked for it"
    Path("evaluated").touch()
    done = invoke("rerun", "--downstream", "--yes", "evaluate-4")
    assert done.exit_code == 0, done.stderr
    (new,) = library.jobs(name="report-4")
    assert new.outcome().status is JobStatus.DONE
    done = invoke("rerun", "--downstream", "--yes", "fit-4")
    assert (done.exit_code, "3 run anew" in done.stderr) == (0, True), done.stderr
    newest = {name: library.jobs(name=f"{name}-4")[0] for name in ("fit", "evaluate", "report")}
    ledger = default_session().ledger
    for name, before in (("evaluate", "fit"), ("report", "evaluate")):
        (needed,) = ledger.dependencies.prerequisites(newest[name].job_id())
        assert needed.job_id == newest[before].job_id()
    assert "".join(newest["evaluate"].logs()) == "2\n"
    assert newest["fit"].outcome().finished <= newest["evaluate"].outcome().started


def test_the_id_of_long_ago_stands_for_what_it_was_run_anew_as() -> None:
    """What starts after that is run anew with it: it was left, and nobody was told."""
    fit = submit("true", name="fit-5")
    report = submit("true", name="report-5", after=fit)
    report.result(60)
    for _ in range(2):
        done = invoke("rerun", "--downstream", "--yes", fit.job_id())
        assert (done.exit_code, "2 run anew" in done.stderr) == (0, True), done.stderr
        newest = {name: library.jobs(name=f"{name}-5")[0] for name in ("fit", "report")}
        (needed,) = default_session().ledger.dependencies.prerequisites(newest["report"].job_id())
        assert needed.job_id == newest["fit"].job_id()


def test_what_is_run_anew_starts_after_what_it_did_before() -> None:
    """All that failed, in one go: the newest of each is what the next starts after."""
    fit = submit("test -e mended", name="fit-3", tags={"study": "a"})
    report = submit("true", name="report-3", tags={"study": "a"}, after=fit)
    report.exception(60)
    done = invoke("rerun", report.job_id())
    assert "failed (exit-code" in done.stderr, "what it needs has not come about since"
    Path("mended").touch()
    done = invoke("rerun", "--tag", "study=a", "--yes")
    assert done.exit_code == 0, done.stderr
    (reported,) = library.jobs(name="report-3")
    (fitted,) = library.jobs(name="fit-3")
    assert reported.result(60).exit_code == 0
    assert fitted.outcome().finished <= reported.outcome().started


def test_the_jobs_of_a_job_file_start_after_others() -> None:
    Path("sweep.toml").write_text(
        'name = "sweep"\n[command]\nargv = ["sh", "-c", "echo {seed}"]\n[matrix]\nseed = [1, 2]\n'
    )
    first = submit(opened())
    done = invoke("run", "sweep.toml", "--detach", "--after", first.job_id())
    jobs = [library.get_job(line) for line in done.stdout.split()]
    assert len(jobs) == 2
    assert {job.status() for job in jobs} == {JobStatus.QUEUED}
    Path("gate").touch()
    done = invoke("run", "sweep.toml", "--after", first.job_id())
    assert done.exit_code == 0, done.stderr
    wait_until(lambda: all(again(job).done() for job in jobs), "they have started once it was there", 60)


def test_each_view_names_the_job_that_has_submitted_another(monkeypatch: pytest.MonkeyPatch) -> None:
    above = submit("true", name="family")
    here = library.get_backend("threads")
    monkeypatch.setenv("ANYJOB_JOB_ID", above.job_id())
    below, beside = submit("true", name="family"), here.run(abs, -1)
    monkeypatch.delenv("ANYJOB_JOB_ID")
    assert below.result(60)
    assert above.result(60)
    parents = [job.metadata()["parent"] for job in (above, below, beside)]
    assert parents == [None, above.job_id(), above.job_id()]
    assert invoke("show", below.job_id()).stdout.count(above.job_id()) == 1
    assert [again(job).metadata()["parent"] for job in (above, below)] == parents[:2]
    listed = json.loads(invoke("jobs", "--name", "family", "--json").stdout)
    assert [job["parent"] for job in listed] == parents[:2]
    rows = invoke("jobs", "--name", "family", "--columns", "id,parent").stdout.splitlines()[1:]
    short = rows[0].split()[0]
    assert above.job_id().startswith(short)
    assert [row.split()[1:] for row in rows] == [[], [short]]
    shown = json.loads(invoke("show", "--json", below.job_id()).stdout)
    assert shown["parent"] == above.job_id()

"""One job, closely: why it is where it is, what it writes, and what is done with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dashboard_client import Answer, Dashboard

import anyjob
from anyjob import Command, JobStatus

EVIL = '<img src=x onerror="window.hit=1">'


def act(dashboard: Dashboard, action: str, *job_ids: str) -> Answer:
    body = json.dumps({"action": action, "jobs": job_ids})
    return dashboard.ask("POST", "/actions", dashboard.enter(), body)


def test_jobs_are_held_released_cancelled_and_run_anew(dashboard: Dashboard, tmp_path: Path) -> None:
    backend = anyjob.get_backend("local", slots=1)
    first, second = backend.run_many([Command(["cat", "/dev/zero"])] * 2, name="acted-on")
    assert json.loads(act(dashboard, "hold", second.job_id()).text) == {"said": "hold: done"}
    assert json.loads(act(dashboard, "release", second.job_id()).text) == {"said": "release: done"}
    told = json.loads(act(dashboard, "cancel", first.job_id(), second.job_id()).text)
    assert told == {"said": "cancel: done"}
    anyjob.wait([first, second], timeout=60)
    assert second.status() is JobStatus.CANCELLED
    assert "only what waits" in act(dashboard, "hold", second.job_id()).text
    anew = json.loads(act(dashboard, "rerun", first.job_id()).text)["said"].removeprefix("runs anew as ")
    assert "done" in act(dashboard, "cancel", anew).text


def test_nothing_is_done_by_a_get_or_for_another_page(dashboard: Dashboard) -> None:
    inside = dict(dashboard.enter())
    assert dashboard.ask("GET", "/actions?action=cancel&jobs=1", inside).code == 405
    assert dashboard.ask("POST", "/actions", {**inside, "Origin": "http://evil.example"}, "{}").code == 403
    assert dashboard.ask("POST", "/actions", {"Origin": inside["Origin"]}, "{}").code == 403


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", "nonsense", "\xff", '{"action": "cancel", "jobs": []}',
     '{"action": "cancel", "jobs": 1}',
     '{"action": "__class__", "jobs": ["1"]}', "[" * 100_000, "x" * 2_000_000],
)  # fmt: skip
def test_nonsense_is_told_to_be_that(dashboard: Dashboard, body: str) -> None:
    answer = dashboard.ask("POST", "/actions", dashboard.enter(), body)
    assert answer.code == 400
    assert json.loads(answer.text)["said"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("/jobs/0", 404), ("/jobs/..%2f..", 404), ("/jobs/0/log", 404), ("/jobs/0/log?begin=x", 400),
     ("/jobs/0/log?begin=-1", 400), ("/jobs/0/log?size=99999999999", 400),
     ("/jobs/0/log?begin=" + "9" * 5000, 400)],
)  # fmt: skip
def test_what_is_not_there_is_told(dashboard: Dashboard, path: str, code: int) -> None:
    answer = dashboard.ask("GET", path, dashboard.enter())
    assert answer.code == code
    assert "Traceback" not in answer.text


def test_a_job_that_is_not_there_is_told_in_words(dashboard: Dashboard) -> None:
    assert "no job '0000'" in json.loads(act(dashboard, "cancel", "0000").text)["said"]


@pytest.mark.engine("chromium")
def test_a_job_that_runs_is_followed_and_cancelled(page: Any, tmp_path: Path) -> None:
    more = tmp_path / "more"
    script = f"echo begun; until [ -e {more} ]; do sleep 0.1; done; echo went on; cat /dev/zero >/dev/null"
    job = anyjob.run(Command(["sh", "-c", script]), "local", name="followed")
    page.locator(f'.row[data-id="{job.job_id()}"]').click()
    detail = page.get_by_label("The job that is selected")
    detail.get_by_text("It runs").wait_for()
    detail.locator("pre", has_text="begun").wait_for()
    more.touch()
    detail.locator("pre", has_text="went on").wait_for()
    detail.get_by_role("button", name="cancel").click()
    detail.get_by_role("button", name="cancel: sure?").click()
    detail.get_by_role("button", name="run anew").wait_for()
    assert job.status() is JobStatus.CANCELLED


@pytest.mark.engine("chromium")
def test_what_failed_shows_what_it_said_of_that(page: Any) -> None:
    job = anyjob.run(Command(["sh", "-c", "echo epoch 1; echo out of tea >&2; exit 3"]), "local")
    job.exception(60)
    page.locator(f'.row[data-id="{job.job_id()}"]').click()
    detail = page.get_by_label("The job that is selected")
    detail.locator("pre", has_text="out of tea").wait_for()
    detail.get_by_role("button", name="stdout").click()
    detail.locator("pre", has_text="epoch 1").wait_for()


@pytest.mark.engine("chromium")
def test_hostile_outputs_messages_and_tags_are_text(page: Any) -> None:
    script = f"echo '{EVIL}' >&2; printf '\\033[2J\\377' >&2; exit 3"
    job = anyjob.run(Command(["sh", "-c", script, EVIL]), "local", name=EVIL, tags={EVIL: EVIL})
    job.exception(60)
    page.locator(f'.row[data-id="{job.job_id()}"]').click()
    detail = page.get_by_label("The job that is selected")
    detail.locator("pre", has_text=EVIL).wait_for()
    detail.get_by_text("It failed").wait_for()
    assert EVIL in detail.locator("h2").inner_text()
    assert f"{EVIL}={EVIL}" in detail.locator("dl").inner_text()
    assert "\\x1b[2J" in detail.locator("pre").inner_text()
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main script").count() == 0

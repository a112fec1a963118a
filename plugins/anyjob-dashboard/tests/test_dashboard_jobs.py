"""The list of jobs: as it is told to a page, and as a browser shows it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from dashboard_client import Dashboard

import anyjob
from anyjob import Command

HOSTILE = (
    '<img src=x onerror="window.hit=1">',
    "</script><script>window.hit=1</script>",
    "\"'><svg onload=window.hit=1>",
    "javascript:window.hit=1",
    "data: x\n\nevent: message\ndata: {}",
    "{{7*7}}${7*7}<!--",
    "\u202egnp.exe",
    "\x1b[2J\x07",
    "nul-\ud800",
    "A" * 255,
)
"""Names that would be markup, scripts, events of their own, or hide others."""


def run(name: str = "", *argv: str) -> Any:
    return anyjob.run(Command(list(argv) or ["true"]), "local", name=name)


def test_a_page_is_told_of_the_jobs_there_are(dashboard: Dashboard) -> None:
    job = run("told")
    states = []
    for told in dashboard.events():
        states += [each["state"] for each in told["jobs"] if each["id"] == job.job_id()]
        if states[-1:] == ["DONE"] and (told["counts"] or {}).get("DONE"):
            break
    assert states == list(dict.fromkeys(states)), "what has not changed is told once"


@pytest.mark.engine("chromium")
def test_a_job_is_seen_as_it_comes_and_ends(page: Any) -> None:
    job = run("comes-and-goes", "cat", "/dev/zero")
    row = page.locator(f'.row[data-id="{job.job_id()}"]')
    row.get_by_text("running").wait_for()
    job.cancel()
    row.get_by_text("cancelled").wait_for()


@pytest.mark.engine("chromium")
def test_the_token_leaves_the_address_and_a_reload_needs_none(page: Any) -> None:
    assert "token" not in page.url
    page.reload()
    page.get_by_text("live", exact=True).wait_for()


@pytest.mark.engine("chromium")
def test_states_and_words_choose_what_is_listed(page: Any) -> None:
    good, bad = run("chosen"), run("chosen", "false")
    anyjob.wait([good, bad], timeout=60)
    page.get_by_label("Search", exact=True).fill("chosen")
    page.get_by_text("2 of").wait_for()
    page.get_by_role("button", name="failed").click()
    page.get_by_text("1 of").wait_for()
    assert page.locator(".rows .row:visible .id").all_text_contents() == [bad.job_id()[:8]]


@pytest.mark.engine("chromium")
def test_it_says_where_a_job_runs_and_when_all_will_be_done(page: Any) -> None:
    run("awaited", "sleep", "0.1").result(60)
    job = run("awaited", "sleep", "600")
    row = page.locator(f'.row[data-id="{job.job_id()}"]')
    row.get_by_text("running").wait_for()
    row.get_by_text(os.uname().nodename).wait_for()
    page.get_by_label("Search", exact=True).fill("awaited")
    page.get_by_text("these done in about").wait_for()
    job.cancel()
    page.get_by_text("these done in about").wait_for(state="hidden")


@pytest.mark.engine("chromium")
def test_hostile_names_are_text(page: Any) -> None:
    jobs = [run(name, "echo", name.replace("\ud800", "")) for name in HOSTILE]
    anyjob.wait(jobs, timeout=60)
    for name, job in zip(HOSTILE, jobs, strict=True):
        row = page.locator(f'.row[data-id="{job.job_id()}"]')
        row.get_by_text("done").wait_for()
        text = row.inner_text()
        assert (name in text) == (name.isprintable() and len(name) < 200), name
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert page.evaluate("window.hit") is None
    assert page.locator("script").count() == 1
    assert page.locator("main img, main svg").count() == 0

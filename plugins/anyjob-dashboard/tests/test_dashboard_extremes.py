"""Many jobs, large and binary logs, several dashboards, and browsers that go away."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from dashboard_client import Dashboard

import anyjob
from anyjob import Command
from conftest import started

MANY = 10_000
LARGE = 2 << 30


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told(dashboard: Dashboard, path: str) -> Any:
    return json.loads(dashboard.ask("GET", path, dashboard.enter()).text)


def test_a_log_of_gigabytes_comes_in_parts_and_binary_output_is_text(dashboard: Dashboard) -> None:
    job = anyjob.run(Command(["sh", "-c", r"printf 'begun\0\377\n'"]), "local")
    job.result(60)
    place = f"/jobs/{job.job_id()}"
    stdout = Path(told(dashboard, place)["spool"]) / "stdout"
    os.truncate(stdout, LARGE)
    with stdout.open("ab") as stream:
        stream.write(b"\nthe end\n")
    last = told(dashboard, f"{place}/log")
    assert last["text"].endswith("\nthe end\n")
    assert (last["end"], last["end"] - last["begin"] <= 1 << 16) == (LARGE + 9, True)
    first = told(dashboard, f"{place}/log?begin=0&size=8")
    assert (first["text"], first["end"]) == ("begun\\x00\ufffd\n", 8)
    assert len(told(dashboard, f"{place}/log?begin={LARGE // 2}&size=100")["text"]) == 400


def test_browsers_that_go_away_leave_nothing_behind(dashboard: Dashboard) -> None:
    def held() -> int:
        return len(psutil.Process(dashboard.process.pid).net_connections())

    before = held()
    for _ in range(20):
        page = dashboard.events()
        next(page)
        page.close()
    until(lambda: held() <= before)
    assert next(dashboard.events())["trouble"] == ""


def test_two_dashboards_show_the_same(dashboard: Dashboard) -> None:
    job = anyjob.run(Command(["true"]), "local", name="twice")
    job.result(60)
    with started() as other:
        assert other.url != dashboard.url
        for each in (dashboard, other):
            assert told(each, f"/jobs/{job.job_id()}")["name"] == "twice"
        foreign = other.ask("GET", "/events", dashboard.enter())
        assert foreign.code == 403, "the cookie of one opens no other"


@pytest.fixture
def many() -> Iterator[list[Any]]:
    """So many jobs; the oldest runs, and all others wait for it."""
    backend = anyjob.get_backend("local")
    first = backend.run(Command(["sleep", "600"]), name="first")
    jobs = [first, *backend.run_many([Command(["true"])] * (MANY - 1), name="waits", after=first)]
    yield jobs
    anyjob.default_session().cancel(jobs)


@pytest.mark.engine("chromium")
def test_a_list_of_many_jobs_has_elements_for_what_is_seen(many: list[Any], page: Any) -> None:
    search = page.get_by_label("Search", exact=True)
    search.fill("waits")
    page.get_by_text(f"{MANY - 1:,} of {MANY:,} jobs").wait_for()
    search.fill("")
    page.locator(f'.row[data-id="{many[-1].job_id()}"]').wait_for()
    scroller = page.locator("#scroller")
    for part in (0.25, 0.5, 0.75, 1):
        scroller.evaluate("(node, part) => { node.scrollTop = part * node.scrollHeight; }", part)
    page.locator(f'.row[data-id="{many[0].job_id()}"]').get_by_text("running").wait_for()
    assert page.locator(".rows .row").count() < 100

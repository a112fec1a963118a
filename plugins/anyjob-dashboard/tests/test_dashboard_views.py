"""Timeline, backends and graph, in a browser."""

from __future__ import annotations

from typing import Any

import pytest

import anyjob
from anyjob import Command

EVIL = "<b onclick=alert(1)>\x1b[2J"

pytestmark = pytest.mark.engine("chromium")


def test_a_bar_of_the_timeline_is_a_job(page: Any) -> None:
    job = anyjob.run(Command(["sleep", "0.2"]), "local", name=f"bar {EVIL}")
    job.result(60)
    page.get_by_label("Search", exact=True).fill("bar")
    page.locator(f'.row[data-id="{job.job_id()}"]').get_by_text("done").wait_for()
    page.get_by_role("button", name="Timeline").click()
    page.get_by_role("button", name="all", exact=True).click()
    bars = page.get_by_label("Who ran where, and when")
    bars.hover(position={"x": 3, "y": 48})
    page.locator("#tip", has_text=job.job_id()[:8]).wait_for()
    assert "<b onclick=alert(1)>\\x1b[2J" in page.locator("#tip").inner_text()
    bars.click(position={"x": 3, "y": 48})
    page.get_by_label("The job that is selected").get_by_text(job.job_id(), exact=True).wait_for()


def test_backends_tell_what_they_are_busy_with(page: Any) -> None:
    page.get_by_role("button", name="Backends").click()
    job = anyjob.run(Command(["sleep", "600"]), "local")
    row = page.get_by_label("Backends").get_by_role("row", name="local 1 0")
    row.wait_for()
    job.cancel()
    page.get_by_label("Backends").get_by_role("row", name="local 0 0").wait_for()


def test_the_graph_of_a_job_leads_to_others(page: Any) -> None:
    backend = anyjob.get_backend("local")
    first = backend.run(Command(["true"]), name="first")
    last = backend.run(Command(["true"]), name=EVIL, after=first)
    last.result(60)
    page.locator(f'.row[data-id="{last.job_id()}"]').click()
    page.get_by_role("button", name="Graph").click()
    drawing = page.get_by_label("what starts after what")
    drawing.locator("g.picked", has_text="<b onclick=alert(1)>").wait_for()
    drawing.locator("g", has_text="first").click()
    page.get_by_label("The job that is selected").get_by_text(first.job_id(), exact=True).wait_for()
    assert page.locator("main b").count() == 0


def test_a_narrow_window_has_room_for_the_search_and_cuts_no_column(page: Any) -> None:
    anyjob.run(Command(["true"]), "local", name="narrow " * 10).result(60)
    page.set_viewport_size({"width": 400, "height": 720})
    row = page.locator(".rows .row", has_text="narrow").first
    row.wait_for()
    assert page.get_by_label("Search", exact=True).bounding_box()["width"] > 300
    boxes = [box for cell in row.locator("span").all() if (box := cell.bounding_box())]
    assert len(boxes) >= 4
    assert max(box["x"] + box["width"] for box in boxes) <= 400
    assert page.evaluate("document.documentElement.scrollWidth") <= 400

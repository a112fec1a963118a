"""A dashboard that all tests of a session share, and a browser to look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboard_client import Dashboard

from anyjob.testing.environment.isolated_environment import isolated

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session", autouse=True)
def anyjob_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `anyjob_environment` is, for the whole session."""
    with isolated(tmp_path_factory.mktemp("anyjob")) as home:
        yield home


@pytest.fixture(scope="session")
def dashboard(anyjob_home: Path) -> Iterator[Dashboard]:
    """A dashboard in a process of its own, as a user starts it."""
    with started() as found:
        yield found


def started(*arguments: str) -> Dashboard:
    """Start a dashboard, and read what it says."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", "anyjob", "dashboard", *arguments],
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    return Dashboard(process)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser; without one the test is skipped, or fails where engines are required."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium is here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, dashboard: Dashboard) -> Iterator[Any]:
    """The dashboard in a browser that has nothing of another test; an error in it fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(120_000)  # milliseconds: the machine may be busy
    opened, errors = context.new_page(), []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    opened.goto(dashboard.url)
    opened.get_by_text("live", exact=True).wait_for()
    yield opened
    context.close()
    assert errors == []

"""What the tests of the core and of the plugins share."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where engines are required (in CI), a test that skips for want of its engine has failed."""
    report = yield
    engine = item.get_closest_marker("engine")
    if report.skipped and engine is not None and os.environ.get("ANYJOB_REQUIRE_ENGINES"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"ANYJOB_REQUIRE_ENGINES is set, and {engine.args[0]} is missing: {reason}"
    return report

"""Where engines are required (in CI), a test that skips for want of its engine fails: a plugin of pytest."""

from __future__ import annotations

import os
from collections.abc import Generator
from unittest import SkipTest

import pytest

REQUIRED = bool(os.environ.get("ANYJOB_REQUIRE_ENGINES"))  # now: a test may hide the environment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where engines are required (in CI), a test that skips for want of its engine has failed.

    What the conformance kit skips (by SkipTest) does not apply to the engine: it is not missing.
    """
    is_of_kit = call.excinfo is not None and isinstance(call.excinfo.value, SkipTest)
    report = yield
    engine = item.get_closest_marker("engine")
    if report.skipped and engine is not None and REQUIRED and not is_of_kit:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"ANYJOB_REQUIRE_ENGINES is set, and {engine.args[0]} is missing: {reason}"
    return report

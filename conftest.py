"""What the tests of the core and of the plugins share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
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


@pytest.fixture
def run_anywhere(
    anyjob_environment: Path, anyjob_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[[str], None]:
    """Gives a function that runs the sweep of examples/anywhere where one word says."""

    def run(word: str) -> None:
        here = anyjob_environment / "anywhere"
        shutil.copytree(Path(__file__).parent / "examples" / "anywhere", here)
        config = (here / "anyjob.toml").read_text()
        assert config.count("laptop") == 3  # the comment, the word, and what it names
        changed = config.replace('default_backend = "laptop"', f'default_backend = "{word}"')
        (here / "anyjob.toml").write_text(changed)
        done = anyjob_cli("run", "--json", "sweep.toml", cwd=here, timeout=120)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        told = json.loads(done.stdout)
        assert told["backend"] == word
        assert [job["state"] for job in told["jobs"]] == ["DONE"] * 4

    return run

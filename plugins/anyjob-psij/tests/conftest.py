"""One state directory for all tests: most of what they take is the start of what runs jobs; and a Slurm."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyjob.testing.environment.isolated_environment import isolated


@pytest.fixture(scope="session", autouse=True)
def anyjob_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `anyjob_environment` is, for the whole session."""
    with isolated(tmp_path_factory.mktemp("anyjob")) as home:
        yield home


@pytest.fixture(scope="session")
def cluster() -> None:
    """A Slurm that answers; without one the test is skipped, or fails where engines are required."""
    if (
        shutil.which("sinfo")
        and subprocess.run(["sinfo", "-h"], capture_output=True, timeout=30).returncode == 0
    ):
        return
    why = "no `sinfo` answers: scripts/slurm-up starts a cluster (as root)"
    if os.environ.get("ANYJOB_REQUIRE_ENGINES"):
        pytest.fail(why)
    pytest.skip(why)

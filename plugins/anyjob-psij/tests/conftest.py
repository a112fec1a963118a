"""One state directory for all tests: most of what they take is the start of what runs jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from anyjob.testing.environment.isolated_environment import isolated


@pytest.fixture(scope="session", autouse=True)
def anyjob_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `anyjob_environment` is, for the whole session."""
    with isolated(tmp_path_factory.mktemp("anyjob")) as home:
        yield home

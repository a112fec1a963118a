"""State of its own, and servers that are asked by a real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_client import Ask, asker

from anyjob.testing.environment.isolated_environment import isolated


@pytest.fixture(scope="session", autouse=True)
def anyjob_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `anyjob_environment` is, for the whole session."""
    with isolated(tmp_path_factory.mktemp("anyjob")) as home:
        yield home


@pytest.fixture
def reader() -> Ask:
    """Calls a tool of a server that only reads, and sees all backends."""
    return asker()


@pytest.fixture
def writer() -> Ask:
    """Calls a tool of a server that runs jobs on ``local``."""
    return asker("local", writes=True)

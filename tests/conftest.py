"""Every test starts without the configuration, state and environment of whoever runs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from anyjob.testing.environment import isolated
from anyjob.testing.leftovers import end_leftovers


@pytest.fixture(autouse=True)
def _no_settings_of_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each test directories of its own, and end the supervisor and keeper that it has started."""
    with isolated(tmp_path_factory.mktemp("home"), keep=["ANYJOB_REQUIRE_ENGINES"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """End what tests have started elsewhere than in their own directories."""
    yield
    end_leftovers(tmp_path_factory.getbasetemp())

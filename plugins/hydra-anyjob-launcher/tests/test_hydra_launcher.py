"""Hydra's own tests of launchers."""

from __future__ import annotations

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)

# Where the jobs are in this process: the kit has Hydra behave as version 1.1 did, which warns.
pytestmark = pytest.mark.filterwarnings("ignore:Future Hydra versions will no longer:UserWarning")


def test_hydra_finds_it() -> None:
    assert "AnyjobLauncher" in [each.__name__ for each in Plugins.instance().discover(Launcher)]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("anyjob", [])])
class TestAnyjobLauncher(LauncherTestSuite):  # type: ignore[misc]
    """On the default backend, which has a process for each job."""


@pytest.mark.parametrize(("launcher_name", "overrides"), [("anyjob", ["hydra.launcher.backend=threads"])])
class TestAnyjobLauncherInThreads(LauncherTestSuite):  # type: ignore[misc]
    """In this process, whose one configuration of Hydra they all take."""


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("anyjob", ["hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2"])],
)
class TestAnyjobLauncherInBatches(BatchedSweeperTestSuite):  # type: ignore[misc]
    """In batches."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=anyjob"])])
class TestAnyjobLauncherIntegration(IntegrationTestSuite):  # type: ignore[misc]
    """By programs."""

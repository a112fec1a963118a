"""Every test starts without the configuration, state and environment of whoever runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyjob.testing.environment.isolated_environment import isolated
from anyjob.testing.environment.leftover_processes import end_leftovers

if TYPE_CHECKING:
    from support.manual_clock import ManualClock


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


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path of this process, which imports nothing from it, and of those that it starts."""
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.syspath_prepend(str(directory))
    yield directory
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    assert not [name for name, file in files.items() if file.startswith(str(directory))], "imported here"


@pytest.fixture
def import_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on ``sys.path`` to install into; what is imported from it is forgotten afterwards."""
    directory = tmp_path / "import-site"
    directory.mkdir()
    monkeypatch.syspath_prepend(str(directory))
    before = set(sys.modules)
    yield directory
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def engine_directory(tmp_path: Path) -> Iterator[Path]:
    """The directory of a `RightEngine`, which ends with the test."""
    from right_backend import RightEngine

    directory = tmp_path / "engine"
    directory.mkdir()
    yield directory
    RightEngine(directory).stop()


@pytest.fixture(scope="module")
def module_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of the default session in all tests of a module; see `local_cli`."""
    from support.durable_state import durable_state

    with durable_state(tmp_path_factory.mktemp("module")) as state:
        yield state


@pytest.fixture
def local_cli(module_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the command line of this process use `local`, in an empty directory; gives the state directory."""
    monkeypatch.setenv(
        "ANYJOB_STATE", str(module_state)
    )  # that all variables of ours are taken away comes before
    monkeypatch.setenv("ANYJOB_BACKEND", "local")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return module_state


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Time stands still in the tracker, unless a test moves it."""
    from support.manual_clock import ManualClock  # here, since this file is also used alone

    clock = ManualClock()
    for module in ("records", "transitions", "bulk_query", "watcher"):
        monkeypatch.setattr(f"anyjob.tracking.{module}.time", clock)
    return clock

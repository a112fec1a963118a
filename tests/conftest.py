"""Every test starts without the configuration, state and environment of whoever runs it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import end_leftovers


@pytest.fixture(autouse=True)
def _no_settings_of_ours(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give each test directories of its own, and end the supervisor and keeper that it has started."""
    for name in [
        name for name in os.environ if name.startswith("ANYJOB_") and name != "ANYJOB_REQUIRE_ENGINES"
    ]:
        monkeypatch.delenv(name)
    home: Path = tmp_path_factory.mktemp("home")
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(home / variable))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(home / "etc"))
    # Sockets need a short path.
    runtime = Path(tempfile.mkdtemp(prefix="anyjob-test-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    yield
    if (module := sys.modules.get("anyjob.session")) is not None and module._default is not None:
        module.default_session().close()
        module.set_default_session(None)
    if any(runtime.iterdir()):
        end_leftovers(runtime)
    shutil.rmtree(runtime)


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """End what tests have started elsewhere than in their own directories."""
    yield
    end_leftovers(tmp_path_factory.getbasetemp())

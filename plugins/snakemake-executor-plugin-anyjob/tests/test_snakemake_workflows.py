"""Snakemake's own tests of executors."""

from __future__ import annotations

from pathlib import Path

import pytest
from snakemake.common.tests import TestWorkflowsLocalStorageBase as Workflows
from snakemake_executor_plugin_anyjob import ExecutorSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


class TestOnLocal(Workflows):  # type: ignore[misc]
    """On the default backend."""

    __test__ = True

    @pytest.fixture(autouse=True)
    def _in_a_directory_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def get_executor(self) -> str:
        return "anyjob"

    def get_executor_settings(self) -> ExecutorSettings:
        return ExecutorSettings(backend="local")

"""The conformance kit, on a real cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gridengine_lab
import pytest

from anyjob.testing import PluginConformance, TaskBackendConformance


class TestGridEngineConforms(TaskBackendConformance):
    backend_type = "gridengine"
    bulk = int(os.environ.get("ANYJOB_TEST_BULK", "100"))
    bulk_reason = "1,000 take minutes of a machine that has much else to do: `make soak` tries them"

    @pytest.fixture
    def options(self, tmp_path: Path, programs: gridengine_lab.Programs) -> Mapping[str, Any]:
        return {"spool": str(tmp_path / "spool"), "programs": str(programs.path), "patience": 5.0}

    @pytest.fixture
    def engine(self, programs: gridengine_lab.Programs) -> gridengine_lab.Programs:
        return programs


class TestGridEnginePluginConforms(PluginConformance):
    distribution = "anyjob-gridengine"

"""The conformance kit, on a simulated cluster; by scripts/check-pbs on a real one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pbs_lab
import pytest

from anyjob.testing import PluginConformance, TaskBackendConformance


class TestPBSConforms(TaskBackendConformance):
    backend_type = "pbs"
    bulk = 50
    bulk_reason = "what PBS says is simulated: more would tell of the simulation"

    @pytest.fixture
    def options(self, tmp_path: Path, programs: pbs_lab.Programs) -> Mapping[str, Any]:
        return {"spool": str(tmp_path / "spool"), "programs": str(programs.path), "patience": 5.0}

    @pytest.fixture
    def engine(self, programs: pbs_lab.Programs) -> pbs_lab.Programs:
        return programs


class TestPBSPluginConforms(PluginConformance):
    distribution = "anyjob-pbs"

"""The conformance kit, on a simulated instance; by scripts/check-flux on a real one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flux_lab
import pytest

from anyjob.testing import PluginConformance, TaskBackendConformance


class TestFluxConforms(TaskBackendConformance):
    backend_type = "flux"
    bulk = 50
    bulk_reason = "what Flux says is simulated: more would tell of the simulation"

    @pytest.fixture
    def options(self, tmp_path: Path, programs: flux_lab.Programs) -> Mapping[str, Any]:
        return {"spool": str(tmp_path / "spool"), "programs": str(programs.path), "patience": 5.0}

    @pytest.fixture
    def engine(self, programs: flux_lab.Programs) -> flux_lab.Programs:
        return programs


class TestFluxPluginConforms(PluginConformance):
    distribution = "anyjob-flux"

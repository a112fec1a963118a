"""The conformance kit, on a real cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import slurm_lab

from anyjob.testing import PluginConformance, TaskBackendConformance


class TestSlurmConforms(TaskBackendConformance):
    backend_type = "slurm"
    bulk = 50
    bulk_reason = "a Slurm job takes a tenth of a second of this machine; benchmarks/slurm.py tries 500"

    @pytest.fixture
    def options(self, tmp_path: Path, programs: slurm_lab.Programs) -> Mapping[str, Any]:
        return {"spool": str(tmp_path / "spool"), "programs": str(programs.path), "patience": 5.0}

    @pytest.fixture
    def engine(self, programs: slurm_lab.Programs) -> slurm_lab.Programs:
        return programs


class TestSlurmPluginConforms(PluginConformance):
    distribution = "anyjob-slurm"

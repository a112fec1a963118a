"""The conformance kit in full, on a real Slurm behind a real sshd.

It takes minutes: it is collected where ANYJOB_TEST_MATRIX is set, as by `make test-matrix` (see conftest.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import ssh_lab

from anyjob.testing import TaskBackendConformance

pytestmark = [pytest.mark.engine("ssh"), pytest.mark.engine("slurm")]


class TestSlurmBehindSshConforms(TaskBackendConformance):
    backend_type = "ssh"
    bulk = 50
    bulk_reason = "a Slurm job takes a tenth of a second of this machine; benchmarks/slurm.py tries 500"

    @pytest.fixture
    def options(self, slurm_host: ssh_lab.Server) -> Mapping[str, Any]:
        return slurm_host.options(backend="slurm")

    @pytest.fixture
    def engine(self, slurm_host: ssh_lab.Server) -> ssh_lab.Faults:
        return ssh_lab.Faults(slurm_host)

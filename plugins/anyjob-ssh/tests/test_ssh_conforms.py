"""The conformance kit, over a real sshd, on the backend `local` of the other side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import ssh_lab

from anyjob.testing import PluginConformance, TaskBackendConformance

pytestmark = pytest.mark.engine("ssh")


class TestSshConforms(TaskBackendConformance):
    backend_type = "ssh"

    @pytest.fixture
    def options(self, server: ssh_lab.Server) -> Mapping[str, Any]:
        return server.options()

    @pytest.fixture
    def engine(self, server: ssh_lab.Server) -> ssh_lab.Faults:
        return ssh_lab.Faults(server)


class TestSshPluginConforms(PluginConformance):
    distribution = "anyjob-ssh"

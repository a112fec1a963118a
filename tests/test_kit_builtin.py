"""The conformance kit over every built-in backend, and over the backends that its checks are tried on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from right_backend import RightBackend, RightEngine
from right_calls import RightCallsBackend
from right_plain import RightPlainBackend, SilentJob, plain_samples
from right_reports import ReportJob, RightReportsBackend, report_samples

from anyjob.testing import BackendConformance, BackendHarness, Samples, TaskBackendConformance
from anyjob.testing.environment.leftover_processes import end_leftovers


class TestInlineConforms(TaskBackendConformance):
    backend_type = "inline"


class TestThreadsConforms(TaskBackendConformance):
    backend_type = "threads"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {"slots": 4}


class TestProcessesConforms(TaskBackendConformance):
    backend_type = "processes"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {"slots": 4}


@pytest.fixture(scope="module")
def common_home() -> Iterator[Path]:
    """A place for one supervisor, as a user has it: to start one a test takes longer than the tests."""
    home = Path(tempfile.mkdtemp(prefix="anyjob-kit-", dir="/tmp"))  # sockets need a short path
    yield home
    end_leftovers(home)
    shutil.rmtree(home)


class TestLocalConforms(TaskBackendConformance):
    backend_type = "local"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {"slots": 4}

    @pytest.fixture
    def state(self, common_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (common_home / "run").mkdir(mode=0o700, exist_ok=True)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(common_home / "run"))
        return common_home / "state"


class TestRightConforms(TaskBackendConformance):
    backend_class = RightBackend

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        (tmp_path / "engine").mkdir()
        return {"directory": str(tmp_path / "engine")}

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[RightEngine]:
        engine = RightEngine(tmp_path / "engine")
        yield engine
        engine.stop()


class TestCallsConforms(TaskBackendConformance):
    """A backend that runs calls alone runs programs by way of them."""

    backend_class = RightCallsBackend


class TestReportsConforms(TaskBackendConformance):
    """A backend that takes neither commands nor calls is checked by the work that its author gives."""

    backend_class = RightReportsBackend

    @pytest.fixture
    def samples(self) -> Sequence[Samples]:
        return report_samples()

    @pytest.fixture(autouse=True)
    def kinds(self, harness: BackendHarness) -> None:
        """What is installed by a plugin is registered here."""
        harness.session.registry.register_job_type("kit.report", ReportJob)


class SilentBackend(RightPlainBackend):
    job_class = SilentJob


class TestPlainSilentConforms(BackendConformance):
    """One whose cancel() gives None, as the documentation of the original interface allowed."""

    backend_class = SilentBackend

    @pytest.fixture
    def samples(self) -> Sequence[Samples]:
        return plain_samples()


class TestPlainConforms(BackendConformance):
    """A backend as they were written for Qiskit's original provider interface."""

    backend_class = RightPlainBackend

    @pytest.fixture
    def samples(self) -> Sequence[Samples]:
        return plain_samples()

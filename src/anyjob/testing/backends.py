"""The kit's classes for backends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from anyjob.testing.checks.engine.bulk import Bulk
from anyjob.testing.checks.engine.client_crashes import ClientCrashes
from anyjob.testing.checks.engine.engine_faults import EngineFaults
from anyjob.testing.checks.engine.options import Construction, OptionValidation
from anyjob.testing.checks.engine.reattachment import Reattachment, TaskReattachment
from anyjob.testing.checks.engine.secrets import Secrets
from anyjob.testing.checks.job.cancellation import Cancellation, TaskCancellation
from anyjob.testing.checks.job.failures import Failures, TaskFailures
from anyjob.testing.checks.job.handles import Handles, TaskHandles
from anyjob.testing.checks.job.lifecycle import Lifecycle, TaskLifecycle
from anyjob.testing.checks.job.logs import Logs
from anyjob.testing.checks.job.sequences import Sequences
from anyjob.testing.checks.job.tasks import Tasks
from anyjob.testing.checks.job.text import TaskText, Text
from anyjob.testing.checks.job.waiting import TaskWaiting, Waiting
from anyjob.testing.checks.plugin.listing import Listing
from anyjob.testing.conformance import Conformance
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.samples import Samples
from anyjob.testing.harness.session_factory import ACCOUNT, SessionFactory


class BackendConformance(
    Lifecycle,
    Waiting,
    Cancellation,
    Failures,
    Handles,
    Text,
    Reattachment,
    Construction,
    Listing,
    Conformance,
):
    """What every `BaseBackend` promises. Subclass it, and say which backend: see `TaskBackendConformance`."""

    backend_type: ClassVar[str] = ""
    """The type as installed, or ``PROVIDER TYPE/BACKEND``; where it is empty, that of ``backend_class``."""
    backend_class: ClassVar[type[Any] | None] = None
    """The class, where it is not installed under a name."""
    timeout: ClassVar[float] = 30.0
    """Seconds after which something that should happen has not."""
    walltime: ClassVar[float] = BackendHarness.walltime
    """The shortest walltime that the engine keeps to, in seconds."""
    foreign_hooks: ClassVar[bool] = False
    """Whether the hooks of other distributions that are installed are called in the tests, too."""

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """What the configuration says of the backend."""
        return {}

    @pytest.fixture
    def provider_options(self) -> Mapping[str, Any]:
        """What the configuration says of the provider that the backend comes from, if it does."""
        return {}

    @pytest.fixture
    def engine(self) -> Any:
        """Faults of the engine, as far as there are any.

        ``down()``, ``forget(native_id)``, ``reject_next()``, ``lose_next_answer()``: see
        docs/how-to/test-your-plugin.md.
        """
        return None

    @pytest.fixture
    def samples(self) -> Sequence[Samples] | None:
        """Work for the backend; None: commands and calls, where it takes them."""
        return None

    def submit(self, backend: Any, work: Any, **resources: Any) -> Any:
        """Hand one piece of work to the backend."""
        return backend.run(work, **resources)

    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        """The directory that durable backends keep their jobs in; each test has its own."""
        return tmp_path / "state"

    @pytest.fixture
    def harness(
        self,
        options: Mapping[str, Any],
        provider_options: Mapping[str, Any],
        engine: Any,
        samples: Any,
        state: Path,
    ) -> Iterator[BackendHarness]:
        """The backend in a session of its own."""
        name = self.backend_type or (self.backend_class or type(self)).__name__.lower()
        cls = None if self.backend_type else self.backend_class
        provider, offered, _ = name.partition("/")
        accounts = {ACCOUNT: {"type": provider, **provider_options}} if offered else {}
        harness = BackendHarness.from_factory(
            SessionFactory(name, cls, options, state, "backends", accounts, self.foreign_hooks),
            engine=engine,
            samples=samples,
            submit=self.submit,
            timeout=self.timeout,
        )
        harness.walltime = self.walltime
        yield harness
        harness.close()


class TaskBackendConformance(
    TaskLifecycle,
    TaskWaiting,
    TaskCancellation,
    TaskFailures,
    TaskHandles,
    Logs,
    TaskText,
    Tasks,
    Sequences,
    TaskReattachment,
    ClientCrashes,
    EngineFaults,
    Bulk,
    OptionValidation,
    Secrets,
    BackendConformance,
):
    """What every `TaskBackend` promises.

    ::

        class TestAcmeConforms(TaskBackendConformance):
            backend_type = "acme"

            @pytest.fixture
            def options(self, server):
                return {"url": server.url}
    """

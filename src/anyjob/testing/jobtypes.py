"""The kit's class for kinds of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from anyjob.testing.checks.plugin.kinds import Lowering, Naming, Specs
from anyjob.testing.checks.plugin.listing import Listing
from anyjob.testing.conformance import Conformance
from anyjob.testing.harness.job_type import JobTypeHarness
from anyjob.testing.harness.samples import Samples


class JobTypeConformance(Naming, Specs, Lowering, Listing, Conformance):
    """What every kind of work promises.

    ::

        class TestReportConforms(JobTypeConformance):
            job_type = "acme.report"

            @pytest.fixture
            def samples(self):
                return [
                    Samples(
                        kind="acme.report",
                        succeeds=Report("sales", year=2024),
                        value=Page("sales 2024"),
                        fails=Report("no such report"),
                        reason="exception",
                    )
                ]
    """

    job_type: ClassVar[str] = ""
    """The name that it is registered as; where it is empty, the tag of the specs of ``job_class``."""
    job_class: ClassVar[type[Any] | None] = None
    """The job type, where it is not installed under a name."""
    timeout: ClassVar[float] = 30.0
    """Seconds after which a job that should have ended has not."""
    foreign_hooks: ClassVar[bool] = False
    """Whether the hooks of other distributions that are installed are called in the tests, too."""

    @pytest.fixture
    def samples(self) -> Sequence[Samples]:
        """Examples of the work, with their results; some that fail, where it can. Must be given."""
        raise NotImplementedError("give the kit something to try: a fixture `samples` with a list of Samples")

    @pytest.fixture
    def invalid(self) -> Sequence[Mapping[str, Any]]:
        """Fields of specs that make no sense, and so are refused."""
        return []

    @pytest.fixture
    def backends(self) -> Mapping[str, Mapping[str, Any]]:
        """The types of backends to run it on, and their options; those that do not take it are left out."""
        return {"inline": {}, "threads": {}, "processes": {}, "local": {}}

    @pytest.fixture
    def harness(self, samples: Any, invalid: Any, backends: Any, tmp_path: Path) -> Iterator[JobTypeHarness]:
        """The kind of work, in a session of its own."""
        harness = JobTypeHarness(
            self.job_type,
            self.job_class,
            samples,
            invalid=invalid,
            backends=backends,
            state=tmp_path / "state",
            timeout=self.timeout,
            foreign_hooks=self.foreign_hooks,
        )
        yield harness
        harness.close()

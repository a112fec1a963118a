"""A provider that is tested, in a session of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from unittest import SkipTest

from anyjob.errors import JobTimeoutError
from anyjob.job import JobStatus
from anyjob.registry.entry_points import PROVIDERS
from anyjob.taskbackend import TaskBackend
from anyjob.testing.harness.messages import describe_end
from anyjob.testing.harness.other_process import OtherProcess
from anyjob.testing.harness.samples import Samples, default_samples
from anyjob.testing.harness.session_factory import NAME, OTHER, SessionFactory

LONG = 1.0
"""Seconds that work takes which has not ended when it was looked at."""


class ProviderHarness:
    """A provider, and what belongs to it.

    Args:
        factory: makes its session; in another process, too.
        samples: work for its backends; None: commands and calls, where they take them.
        timeout: seconds after which something that should happen has not.
        engine: faults of its service, as far as there are any: ``down()``, ``refused()``, ``without(name)``,
            ``offline(name)``, ``submit_elsewhere(name)``.
    """

    def __init__(
        self,
        factory: SessionFactory,
        samples: Sequence[Samples] | None = None,
        timeout: float = 30.0,
        engine: Any = None,
    ) -> None:
        self.session = factory.make_session()
        self.factory = factory
        self.samples = samples
        self.timeout = timeout
        self.engine = engine

    @property
    def name(self) -> str:
        """Its configured name."""
        return NAME

    @property
    def provider(self) -> Any:
        """The provider that is tested."""
        return self.session.get_provider(NAME)

    @property
    def other_provider(self) -> Any:
        """Another account of the same type; the check is skipped where the author gives none."""
        if OTHER not in self.session.config.providers:
            raise SkipTest("the fixture `other_options` gives no second account")
        return self.session.get_provider(OTHER)

    @property
    def entry_point(self) -> tuple[str, str] | None:
        """The group and the name that it is installed as; None where it is given as a class."""
        return (PROVIDERS, self.factory.type_name) if self.factory.is_installed else None

    def backends(self) -> list[Any]:
        """Return what it offers.

        Raises:
            AssertionError: nothing.
        """
        found = self.provider.backends()
        assert isinstance(found, list), f"backends() is {found!r}, which is no list"
        assert found, "backends() is empty: give the kit a provider that offers something"
        return found

    def task_backends(self) -> Iterator[Any]:
        """Yield those of its backends that run specs, as the session has them; skip the check without any."""
        found = [each for each in self.backends() if isinstance(each, TaskBackend)]
        if not found:
            raise SkipTest("none of its backends is a TaskBackend")
        for name in names_of(found):
            yield self.session.get_backend(f"{NAME}/{name}")

    def samples_of(self, backend: Any) -> Sequence[Samples]:
        """Return the work that there is for a backend."""
        return default_samples(backend) if self.samples is None else self.samples

    def jobs_that_run(self) -> Iterator[Any]:
        """Yield a job of each backend that has not ended for a while; skip the check where there is none."""
        some = False
        for backend in self.task_backends():
            for sample in self.samples_of(backend)[:1]:
                if sample.slow is not None:
                    some = True
                    yield backend.run(sample.slow(LONG))
        if not some:
            raise SkipTest("there is no slow work for its backends")

    def assert_done(self, job: Any, what: str) -> None:
        """Wait for a job that should be DONE in the end; ``what`` says what has happened to it.

        Raises:
            AssertionError: it has not ended within the timeout, or otherwise, and then why.
        """
        try:
            job.wait_for_final_state(timeout=self.timeout, wait=0.1)
        except JobTimeoutError as error:
            raise AssertionError(f"{what}: {error}") from error
        assert job.status() is JobStatus.DONE, f"{what}: {job!r} ended as {describe_end(job)}"

    def with_options(self, **changes: Any) -> ProviderHarness:
        """Return the same provider with other options, in a session of its own that is to be closed.

        Args:
            changes: options and their values; None takes an option away.
        """
        options = {k: value for k, value in {**self.factory.options, **changes}.items() if value is not None}
        return self._like_this(self.factory._replace(options=options))

    def reopen(self) -> ProviderHarness:
        """Return the same provider in another session, as if it had been started anew."""
        return self._like_this(self.factory)

    def _like_this(self, factory: SessionFactory) -> ProviderHarness:
        return ProviderHarness(factory, self.samples, self.timeout, self.engine)

    def in_other_process(self, function: Callable[..., Any]) -> Any:
        """Return ``function(harness)``, called in another process that has the same provider.

        Raises:
            AssertionError: it raised, or did not end in time.
        """
        make_harness = functools.partial(ProviderHarness, self.factory, self.samples, self.timeout)
        with OtherProcess(make_harness, function, {}) as other:
            return other.value(self.timeout)

    def close(self) -> None:
        """Close the session."""
        self.session.close()


def names_of(backends: Iterable[Any]) -> list[str]:
    """Return what the provider calls backends, whatever a session calls them."""
    return [str(getattr(each.configuration(), "backend_name", each.name())) for each in backends]

"""A kind of work that is tested, in a session with backends to run it on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

from anyjob.config.settings import Config
from anyjob.registry.entry_points import JOB_TYPES
from anyjob.registry.lookup import Registry
from anyjob.session.facade import Session
from anyjob.specs import Spec, kind_of
from anyjob.testing.environment.foreign_hooks import leave_out_foreign_hooks
from anyjob.testing.environment.leftover_processes import end_leftovers
from anyjob.testing.harness.samples import Samples, can_run


class JobTypeHarness:
    """A kind of work, and what belongs to it.

    Args:
        name: what it is registered as; empty: the tag of its specs.
        job_class: its job type, where that is not installed.
        samples: examples of it.
        invalid: fields of specs that make no sense.
        backends: the types of backends to run it on, and their options.
        state: the directory that durable backends keep their jobs in.
        timeout: seconds after which a job that should have ended has not.
        foreign_hooks: whether the hooks of other distributions are called.
    """

    def __init__(
        self,
        name: str,
        job_class: type[Any] | None,
        samples: Sequence[Samples],
        *,
        invalid: Sequence[Mapping[str, Any]] = (),
        backends: Mapping[str, Mapping[str, Any]],
        state: Path,
        timeout: float = 30.0,
        foreign_hooks: bool = False,
    ) -> None:
        self.name = name if name or job_class is None else kind_of(job_class.spec_type)
        self.samples = list(samples)
        self.invalid = list(invalid)
        self.timeout = timeout
        self._job_class = job_class
        self._backends = backends
        self._state = state
        self._foreign_hooks = foreign_hooks
        self.session = self.new_session()

    def new_session(self) -> Session:
        """Make a session as another process would have it, with the same state."""
        registry = Registry()
        if self._job_class is not None:
            registry.register_job_type(self.name, self._job_class)
        if not self._foreign_hooks:
            leave_out_foreign_hooks(registry, JOB_TYPES, self.name)
        tables = {each: {"type": each, **options} for each, options in self._backends.items()}
        config = Config.from_dict({"backends": tables}, origin="the conformance kit")
        return Session(config=config, registry=registry, state=self._state)

    @property
    def entry_point(self) -> tuple[str, str] | None:
        """The group and the name that it is installed as; None where it is given as a class."""
        return (JOB_TYPES, self.name) if self._job_class is None else None

    @property
    def job_type(self) -> Any:
        """The class of its jobs."""
        return self.session.get_job_type(self.name)

    @property
    def spec_type(self) -> type[Spec]:
        """The class of its specs.

        Raises:
            AssertionError: the job type names none.
        """
        found = getattr(self.job_type, "spec_type", None)
        assert isinstance(found, type) and issubclass(found, Spec), (
            f"{self.job_type.__name__}.spec_type is {found!r}, and is to be the class of its specs"
        )
        return found

    def specs(self) -> list[Spec]:
        """Return all specs among the samples, which there must be."""
        found = [work for each in self.samples for work in (each.succeeds, each.fails) if work is not None]
        assert found, "give the kit something to try: the fixture `samples` is empty"
        return found

    def backends(self, *, durable: bool = False) -> Iterator[Any]:
        """Yield the backends that take it; skip the check where none does."""
        found = [self.session.get_backend(each) for each in self._backends]
        found = [
            backend
            for backend in found
            if can_run(backend, self.name) and (backend.capabilities.durable or not durable)
        ]
        if not found:
            names = ", ".join(self._backends)
            raise SkipTest(f"none of {names} takes it{' and is durable' if durable else ''}")
        yield from found

    def close(self) -> None:
        """Close the session, and end the processes that it has started."""
        self.session.close()
        if self._state.exists():
            end_leftovers(self._state)

"""A backend that is tested, in a session of its own, which other processes can have, too."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from unittest import SkipTest

from anyjob.errors import JobTimeoutError
from anyjob.job import JobStatus
from anyjob.outcome import Outcome
from anyjob.registry.entry_points import BACKENDS, PROVIDERS
from anyjob.session.facade import Session
from anyjob.testing.harness.messages import describe_end
from anyjob.testing.harness.other_process import OtherProcess
from anyjob.testing.harness.samples import Samples, can_run, default_samples
from anyjob.testing.harness.session_factory import NAME, SessionFactory
from anyjob.testing.instrumentation.call_recorder import AttributesChanged

SLOW = 30.0
"""Seconds that slow work takes, where it can be cancelled once it was looked at."""
SLOW_UNCANCELLABLE = 3.0
"""Seconds that it takes where it cannot be, and keeps a slot from what comes next."""
MOMENT = 0.2
"""Seconds in which what should not happen would have."""

_synchronous: dict[type[Any], bool] = {}


class BackendHarness:
    """A backend that is tested, and what belongs to it.

    Args:
        session: where it is configured.
        name: its configured name there.
        engine: faults of its engine, as far as there are any: ``down()``, ``forget(native_id)``,
            ``reject_next()``, ``lose_next_answer()``.
        samples: work for it; by default commands and calls, where it takes them, and what its kinds bring.
        submit: hands it one piece of work; by default ``backend.run``.
        timeout: seconds after which something that should happen has not.
        factory: makes the same session, in another process, too; None where nothing does.
    """

    walltime = 0.5
    """The shortest walltime that the engine keeps to, in seconds."""

    def __init__(
        self,
        session: Session,
        name: str = NAME,
        *,
        engine: Any = None,
        samples: Sequence[Samples] | None = None,
        submit: Callable[..., Any] | None = None,
        timeout: float = 30.0,
        factory: SessionFactory | None = None,
    ) -> None:
        self.session = session
        self.name = name
        self.engine = engine
        self.timeout = timeout
        self.factory = factory
        self._samples = samples
        self._submit = submit
        self._jobs: list[Any] = []

    @classmethod
    def from_factory(cls, factory: SessionFactory, **options: Any) -> BackendHarness:
        """Make one with a session of its own; the options are those of the constructor."""
        return cls(factory.make_session(), factory=factory, **options)

    @property
    def backend(self) -> Any:
        """The backend that is tested."""
        return self.session.get_backend(self.name)

    @property
    def entry_point(self) -> tuple[str, str] | None:
        """The group and the name that it is installed as; None where it is given as a class."""
        if self.factory is None or not self.factory.is_installed:
            return None
        name, offered, _ = self.factory.type_name.partition("/")
        return PROVIDERS if offered else BACKENDS, name

    # --- work for it ------------------------------------------------------------------------------

    @property
    def samples(self) -> list[Samples]:
        """Work of each kind that it takes."""
        found = default_samples(self.backend) if self._samples is None else list(self._samples)
        if not found:
            raise SkipTest(
                f"{self.name} takes neither commands nor calls, and its kinds of work bring no sample: "
                "give it work by the fixture `samples`"
            )
        return found

    def samples_with(self, *fields: str) -> Iterator[Samples]:
        """Yield the samples that have all of these, such as ``slow``; skip the check where none has."""
        found = [each for each in self.samples if all(getattr(each, field) is not None for field in fields)]
        if not found:
            raise SkipTest(f"none of the samples of {self.name} has {' and '.join(fields)}")
        yield from found

    def require_kind(self, kind: str) -> None:
        """Skip the check where the backend cannot be handed work of this kind."""
        if not hasattr(self.backend, "accepts") or not can_run(self.backend, kind):
            raise SkipTest(f"{self.name} takes no work of kind {kind!r}")

    def require_native_kind(self, kind: str) -> None:
        """Skip the check where the backend runs work of this kind not at all, or as something else."""
        if kind not in getattr(self.backend, "accepts", ()):
            raise SkipTest(f"{self.name} does not run work of kind {kind!r} by itself")

    def run(self, work: Any, **resources: Any) -> Any:
        """Hand one piece of work to the backend; what has not ended with the check is cancelled."""
        job = (
            self.backend.run(work, **resources)
            if self._submit is None
            else self._submit(self.backend, work, **resources)
        )
        self._jobs.append(job)
        return job

    def run_many(self, work: Sequence[Any], **resources: Any) -> list[Any]:
        """Hand many pieces of work to the backend at once; see `run`."""
        jobs: list[Any] = self.backend.run_many(work, **resources)
        self._jobs += jobs
        return jobs

    def run_slow(self, **resources: Any) -> Any:
        """Hand over work that has not ended by itself when it was looked at; return its job.

        The check is skipped where there is no such work, or where ``run`` returns when it has ended.
        """
        return self.run(self.slow_work(), **resources)

    def slow_work(self) -> Any:
        """Return work as `run_slow` hands over; the check is skipped where that skips it."""
        sample = next(iter(self.samples_with("slow")))
        assert sample.slow is not None
        if self._is_synchronous(sample.slow):
            raise SkipTest(f"run() of {self.name} returns when the work has ended: there is nothing before")
        return sample.slow(self.slow_seconds)

    @property
    def slow_seconds(self) -> float:
        """Seconds that slow work takes."""
        return SLOW if self.backend.capabilities.cancel_running else SLOW_UNCANCELLABLE

    def _is_synchronous(self, slow: Callable[[float], Any]) -> bool:
        backend_class = type(self.backend)
        if backend_class not in _synchronous:
            probe = self.run(slow(1.0))
            # Else the answer is that it was taken a moment ago.
            with AttributesChanged(self.backend, floor=0.0):
                _synchronous[backend_class] = probe.in_final_state()
            if not _synchronous[backend_class]:
                probe.cancel()
        return _synchronous[backend_class]

    # --- waits --------------------------------------------------------------------------------------

    def wait(self, job: Any) -> None:
        """Wait for a job to end; a plain one is asked often, since it notifies nobody.

        Raises:
            AssertionError: it has not within the timeout.
        """
        try:
            job.wait_for_final_state(timeout=self.timeout, wait=0.1)
        except JobTimeoutError as error:
            raise AssertionError(f"{job!r} should have ended by now: {error}") from error

    def assert_done(self, job: Any, what: str) -> None:
        """Wait for a job that should be DONE in the end; ``what`` says which that is.

        Raises:
            AssertionError: it has not ended within the timeout, or otherwise, and then why.
        """
        self.wait(job)
        assert job.status() is JobStatus.DONE, f"{what} should be DONE, and ended as {describe_end(job)}"

    def keeps_running(self, job: Any) -> bool:
        """Whether a job has still not ended a moment later."""
        try:
            job.wait_for_final_state(timeout=MOMENT, wait=MOMENT / 4)
        except JobTimeoutError:
            return True
        return False

    def outcome(self, job: Any, what: Callable[[], str] | None = None) -> Outcome:
        """Wait for a task job to end, and return what came of it.

        Args:
            job: the job.
            what: asked what happened to the job, where it does not end.

        Raises:
            AssertionError: it has not ended within the timeout.
        """
        try:
            outcome: Outcome = job.outcome(self.timeout)
        except JobTimeoutError as error:
            about = f"{job!r} should have ended by now" if what is None else what()
            raise AssertionError(f"{about}: {error}") from error
        return outcome

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until this gives something true, and return that.

        Raises:
            AssertionError: it does not within the timeout; ``what`` says what was waited for.
        """
        deadline = time.monotonic() + self.timeout
        while not (found := condition()):
            if time.monotonic() >= deadline:
                raise AssertionError(f"{what}: not within {self.timeout:g} s")
            time.sleep(0.01)
        return found

    # --- the same elsewhere -------------------------------------------------------------------------

    def reopen(self) -> BackendHarness:
        """Return the same backend in another session of this process, as if it had been started anew."""
        return self._like_this(self._factory())

    def with_options(self, **changes: Any) -> BackendHarness:
        """Return the same backend with other options, in a session of its own that is to be closed.

        Args:
            changes: options and their values; None takes an option away.
        """
        factory = self._factory()
        options = {k: value for k, value in {**factory.options, **changes}.items() if value is not None}
        return self._like_this(factory._replace(options=options))

    def _like_this(self, factory: SessionFactory) -> BackendHarness:
        return BackendHarness.from_factory(
            factory,
            engine=self.engine,
            samples=self._samples,
            submit=self._submit,
            timeout=self.timeout,
        )

    def in_other_process(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """Return ``function(harness, **arguments)``, called in another process that has the same backend.

        The function is found there by its module and name; arguments and value are pickled.

        Raises:
            AssertionError: it raised, with what it raised, or did not end in time.
        """
        with self.start_other_process(function, **arguments) as other:
            return other.value(self.timeout)

    def start_other_process(self, function: Callable[..., Any], **arguments: Any) -> OtherProcess:
        """Begin to do what `in_other_process` does, in a process that may be killed."""
        make_harness = functools.partial(
            BackendHarness.from_factory, self._factory(), samples=self._samples, timeout=self.timeout
        )
        return OtherProcess(make_harness, function, arguments)

    def _factory(self) -> SessionFactory:
        if self.factory is None:
            raise SkipTest(f"no other process can be given {self.name}")
        return self.factory

    def close(self) -> None:
        """Cancel what has not ended, and close the session."""
        with suppress(Exception):  # the engine is away, or the backend is as broken as the check has said
            self.session.cancel(job for job in self._jobs if _is_open(job))
        self.session.close()


def _is_open(job: Any) -> bool:
    try:
        return not job.in_final_state()
    except Exception:  # the engine is away, or has forgotten it, or the backend is broken
        return False

"""Where a check takes place: a backend in a session of its own, which other processes can have, too."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import SkipTest

from anyjob.errors import JobTimeoutError
from anyjob.job import JobStatus
from anyjob.session.facade import Session
from anyjob.testing.harness.recipe import NAME, Origin
from anyjob.testing.harness.samples import Samples, default_samples, takes
from anyjob.testing.observe.calls import Changed
from anyjob.testing.observe.text import how

LONG = 30.0
"""Seconds that slow work takes, where it can be ended when it was looked at."""
NOT_LONG = 3.0
"""Seconds that it takes where it cannot be ended, and keeps a slot from what comes next."""
MOMENT = 0.2
"""Seconds in which what should not happen would have."""

_synchronous: dict[type[Any], bool] = {}


class BackendHarness:
    """A backend that is tested, and what belongs to it.

    Args:
        session: where it is configured.
        name: its configured name there.
        engine: faults of its engine: ``down()``, ``forget(native_id)``, ``reject_next()``, where there are.
        samples: work for it; by default commands and calls, where it takes them.
        submit: hands it one piece of work; by default ``backend.run``.
        patience: seconds after which something that should happen has not.
        origin: how another process makes the same; None where it cannot.
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
        patience: float = 30.0,
        origin: Origin | None = None,
    ) -> None:
        self.session = session
        self.name = name
        self.engine = engine
        self.patience = patience
        self.origin = origin
        self._samples = samples
        self._submit = submit
        self._jobs: list[Any] = []

    @classmethod
    def of(cls, origin: Origin, **given: Any) -> BackendHarness:
        """Make a place with a session of its own; ``given`` is as for the constructor."""
        return cls(origin.session(), origin=origin, **given)

    @property
    def backend(self) -> Any:
        """The backend that is tested."""
        return self.session.get_backend(self.name)

    @property
    def samples(self) -> list[Samples]:
        """Work of each kind that it takes."""
        found = default_samples(self.backend) if self._samples is None else list(self._samples)
        if not found:
            raise SkipTest(
                f"{self.name} takes neither commands nor calls: give it work by the fixture `samples`"
            )
        return found

    def having(self, *fields: str) -> Iterator[Samples]:
        """Yield the samples that have all of these, such as ``slow``; skip the check where none has."""
        found = [each for each in self.samples if all(getattr(each, field) is not None for field in fields)]
        if not found:
            raise SkipTest(f"none of the samples of {self.name} has {' and '.join(fields)}")
        yield from found

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

    def begin(self, **resources: Any) -> Any:
        """Hand over work that has not ended by itself when it was looked at; return its job.

        The check is skipped where there is no such work, or where ``run`` returns when it has ended.
        """
        return self.run(self.slow_work(), **resources)

    def slow_work(self) -> Any:
        """Return work as `begin` hands over; the check is skipped where that skips it."""
        sample = next(iter(self.having("slow")))
        assert sample.slow is not None
        if self._is_synchronous(sample.slow):
            raise SkipTest(f"run() of {self.name} returns when the work has ended: there is nothing before")
        return sample.slow(self.long)

    @property
    def long(self) -> float:
        """Seconds that slow work takes."""
        return LONG if self.backend.capabilities.cancel_running else NOT_LONG

    def _is_synchronous(self, slow: Callable[[float], Any]) -> bool:
        kind = type(self.backend)
        if kind not in _synchronous:
            probe = self.run(slow(1.0))
            with Changed(self.backend, floor=0.0):  # else that it was taken a moment ago is the answer
                _synchronous[kind] = probe.in_final_state()
            if not _synchronous[kind]:
                probe.cancel()
        return _synchronous[kind]

    def needs(self, kind: str) -> None:
        """Skip the check where the backend cannot be handed work of this kind."""
        if not hasattr(self.backend, "accepts") or not takes(self.backend, kind):
            raise SkipTest(f"{self.name} takes no work of kind {kind!r}")

    def needs_native(self, kind: str) -> None:
        """Skip the check where the backend runs work of this kind not at all, or as something else."""
        if kind not in getattr(self.backend, "accepts", ()):
            raise SkipTest(f"{self.name} does not run work of kind {kind!r} by itself")

    def wait(self, job: Any) -> None:
        """Wait for a job to end; a plain one is asked often, since it notifies nobody.

        Raises:
            AssertionError: it has not within the patience.
        """
        try:
            job.wait_for_final_state(timeout=self.patience, wait=0.1)
        except JobTimeoutError as error:
            raise AssertionError(f"{job!r} should have ended by now: {error}") from error

    def succeed(self, job: Any, what: str) -> None:
        """Wait for a job that should be DONE in the end; ``what`` says which that is.

        Raises:
            AssertionError: it has not ended within the patience, or otherwise, and then why.
        """
        self.wait(job)
        assert job.status() is JobStatus.DONE, f"{what} should be DONE, and ended as {how(job)}"

    def goes_on(self, job: Any) -> bool:
        """Whether a job has still not ended a moment later."""
        try:
            job.wait_for_final_state(timeout=MOMENT, wait=MOMENT / 4)
        except JobTimeoutError:
            return True
        return False

    def outcome(self, job: Any) -> Any:
        """Wait for a task job to end, and return its outcome; raises as `wait` does."""
        try:
            return job.outcome(self.patience)
        except JobTimeoutError as error:
            raise AssertionError(f"{job!r} should have ended by now: {error}") from error

    def until(self, look: Callable[[], Any], what: str) -> Any:
        """Wait until this gives something true, and return that.

        Raises:
            AssertionError: it does not within the patience; ``what`` says what was waited for.
        """
        deadline = time.monotonic() + self.patience
        while not (found := look()):
            if time.monotonic() >= deadline:
                raise AssertionError(f"{what}: not within {self.patience:g} s")
            time.sleep(0.01)
        return found

    def again(self) -> BackendHarness:
        """Return the same backend in another session of this process, as if it had been started anew."""
        return self._made_of(self._origin())

    def with_options(self, **changes: Any) -> BackendHarness:
        """Return the same backend with other options, in a session of its own that is to be closed.

        Args:
            changes: options and their values; None takes an option away.
        """
        origin = self._origin()
        options = {k: value for k, value in {**origin.options, **changes}.items() if value is not None}
        return self._made_of(origin._replace(options=options))

    def _made_of(self, origin: Origin) -> BackendHarness:
        return BackendHarness.of(
            origin,
            engine=self.engine,
            samples=self._samples,
            submit=self._submit,
            patience=self.patience,
        )

    def elsewhere(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """Return ``function(harness, **arguments)``, called in another process that has the same backend.

        The function is found there by its module and name; arguments and value are pickled.

        Raises:
            AssertionError: it raised, with what it raised, or did not end in time.
        """
        with self.started_elsewhere(function, **arguments) as other:
            return other.value(self.patience)

    def started_elsewhere(self, function: Callable[..., Any], **arguments: Any) -> OtherProcess:
        """Begin to do what `elsewhere` does, in a process that may be killed."""
        make = functools.partial(
            BackendHarness.of, self._origin(), samples=self._samples, patience=self.patience
        )
        return OtherProcess(make, function, arguments)

    def _origin(self) -> Origin:
        if self.origin is None:
            raise SkipTest(f"no other process can be given {self.name}")
        return self.origin

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


class OtherProcess:
    """A function that runs in another process. A context manager, at whose end the process is killed.

    What it prints can be read from ``process.stdout``, line by line.

    Args:
        make: makes there what the function is about: a place, or an offer.
        function: called with that.
        arguments: more that it is called with, by name.
    """

    def __init__(
        self, make: Callable[[], Any], function: Callable[..., Any], arguments: Mapping[str, Any]
    ) -> None:
        import cloudpickle

        self._home = tempfile.TemporaryDirectory(prefix="anyjob-elsewhere-")
        home = Path(self._home.name)
        self._answer = home / "answer"
        (home / "task").write_bytes(cloudpickle.dumps((make, function, dict(arguments))))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "anyjob.testing.harness.child", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def value(self, patience: float) -> Any:
        """Wait for the end of the function, and return its value; raises as `elsewhere` does."""
        try:
            out, err = self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(
                f"another process did not come to an end within {patience:g} s\n{out}{err}"
            ) from None
        if not self._answer.exists():
            raise AssertionError(f"another process ended with code {self.process.returncode}\n{out}{err}")
        good, value = pickle.loads(self._answer.read_bytes())
        if not good:
            raise AssertionError(f"in another process: {value}")
        return value

    def kill(self) -> None:
        """Kill the process at once, as ``kill -9`` does."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> OtherProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self._home.cleanup()

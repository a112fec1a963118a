"""The short and safe checks of the kit, on a backend as its user has configured it. Needs no pytest.

They run in the user's own session, so that what they find holds for what the user does. Each job is
called `NAME`, and carries the name of its check in the tag `TAG`. What has not ended with its check is
cancelled. The jobs of a promise that is kept are then forgotten; those of a broken one stay, to be
looked at.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple
from unittest import SkipTest

from anyjob.errors import AnyjobError
from anyjob.session.facade import Session
from anyjob.taskbackend import TaskBackend
from anyjob.testing.checks.engine.options import Construction
from anyjob.testing.checks.job.cancellation import Cancellation, TaskCancellation
from anyjob.testing.checks.job.failures import Failures, TaskFailures
from anyjob.testing.checks.job.handles import Handles, TaskHandles
from anyjob.testing.checks.job.lifecycle import Lifecycle, TaskLifecycle
from anyjob.testing.checks.job.logs import Logs
from anyjob.testing.checks.job.text import TaskText, Text
from anyjob.testing.checks.job.waiting import Waiting
from anyjob.testing.harness.backend import BackendHarness

NAME = "anyjob-check"
"""What the jobs are called."""
TAG = "anyjob-check"
"""The tag that tells their check."""
WALLTIME = 300.0
"""Seconds after which an engine that can do so ends a job of ours that was left behind."""
CONCURRENCY = 4
"""Checks that run side by side where the engine is another process, and jobs may have to queue."""

_OF_ALL = (Construction, Lifecycle, Waiting, Cancellation, Failures, Handles, Text)
_OF_TASKS = (TaskLifecycle, TaskCancellation, TaskFailures, TaskHandles, Logs, TaskText)

Check = Callable[[BackendHarness], None]


class CheckResult(NamedTuple):
    """What came of one check.

    Args:
        check: its name.
        promise: what a backend promises, in a sentence.
        state: ``ok``, ``failed`` or ``skipped``.
        message: why it is not ``ok``; else empty.
        seconds: how long it took.
        jobs: the ids of those of its jobs that the ledger still has.
    """

    check: str
    promise: str
    state: str
    message: str
    seconds: float
    jobs: tuple[str, ...] = ()


def live_checks(backend: Any) -> dict[str, Check]:
    """Return the short and safe checks for a backend, by name."""
    classes = (*_OF_ALL, *(_OF_TASKS if isinstance(backend, TaskBackend) else ()))
    return {
        name.removeprefix("test_").replace("_", "-"): getattr(found(), name)
        for found in classes
        for name, check in vars(found).items()
        if getattr(check, "is_live", False)
    }


class LiveRun:
    """Runs the checks on a backend, in threads of its own, so that none that hangs keeps anybody.

    Args:
        session: where the backend is configured.
        name: its name there.
        timeout: seconds after which something that should happen has not.
        limit: seconds after which no further check is begun.
        stopped: asked before each check; where it gives True, those that are left are skipped.
    """

    def __init__(
        self, session: Session, name: str, *, timeout: float, limit: float, stopped: Callable[[], bool]
    ) -> None:
        self._session, self._name = session, name
        self._timeout = timeout
        self._limit = limit
        self._stopped = stopped
        self._harnesses: list[_LiveHarness] = []
        self._pending: deque[tuple[str, Check]] = deque()
        self._results: SimpleQueue[CheckResult] = SimpleQueue()

    def open_jobs(self) -> list[Any]:
        """Return the jobs that were submitted and whose check goes on."""
        return [job for harness in list(self._harnesses) for job in harness.jobs]

    def results(self) -> Iterator[CheckResult]:
        """Run the checks; yield what came of each as soon as it is known.

        One that has not come to an end some time after the limit is given up, as failed.
        """
        backend = self._session.get_backend(self._name)
        checks = live_checks(backend)
        self._pending = deque(checks.items())
        started = time.monotonic()
        for _ in range(CONCURRENCY if backend.capabilities.durable else 1):
            threading.Thread(
                target=self._run_pending, args=(started,), name="anyjob-check", daemon=True
            ).start()
        waiting = dict(checks)
        deadline = started + self._limit + 2 * self._timeout
        while waiting:
            try:
                result = self._results.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                break
            del waiting[result.check]
            yield result
        for name, check in waiting.items():
            took = time.monotonic() - started
            yield CheckResult(name, _promise(check), "failed", f"not at an end after {took:.0f} s", took)

    def _run_pending(self, started: float) -> None:
        while self._pending:
            try:
                name, check = self._pending.popleft()
            except IndexError:  # another thread was faster
                return
            if self._stopped():
                self._skip(name, check, "it was interrupted")
            elif time.monotonic() - started > self._limit:
                self._skip(name, check, f"no time was left: {self._limit:g} s were over (--limit)")
            else:
                self._results.put(self._run(name, check))

    def _skip(self, name: str, check: Check, why: str) -> None:
        self._results.put(CheckResult(name, _promise(check), "skipped", why, 0.0))

    def _run(self, name: str, check: Check) -> CheckResult:
        harness = _LiveHarness(self._session, self._name, name, self._timeout)
        self._harnesses.append(harness)
        started = time.monotonic()
        state, message = "ok", ""
        try:
            check(harness)
        except SkipTest as skipped:
            state, message = "skipped", str(skipped)
        except AssertionError as failed:
            state, message = "failed", str(failed)
        except Exception as error:  # of a plugin that is checked: its check has failed
            state, message = "failed", f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - started
        if state == "failed" and self._stopped():
            state, message = "skipped", "it was interrupted"
        kept = harness.clean_up(forget=state != "failed")
        self._harnesses.remove(harness)
        return CheckResult(name, _promise(check), state, message, seconds, tuple(kept))


def _promise(check: Check) -> str:
    return (check.__doc__ or "").strip().partition("\n")[0]


class _LiveHarness(BackendHarness):
    """A harness in somebody's own session: what it runs is marked, and ended and forgotten with the check."""

    def __init__(self, session: Session, name: str, check: str, timeout: float) -> None:
        super().__init__(session, name, timeout=timeout)
        self._check = check

    @property
    def jobs(self) -> list[Any]:
        return list(self._jobs)

    def run(self, work: Any, **resources: Any) -> Any:
        return super().run(work, **self._marked(resources))

    def run_many(self, work: Sequence[Any], **resources: Any) -> list[Any]:
        return super().run_many(work, **self._marked(resources))

    def _marked(self, resources: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(self.backend, TaskBackend):
            return resources
        walltime = {"walltime": WALLTIME} if self.backend.capabilities.walltime else {}
        tags = {**resources.get("tags", {}), TAG: self._check}
        return {"name": NAME, **walltime, **resources, "tags": tags}

    def clean_up(self, *, forget: bool) -> list[str]:
        """Cancel what has not ended; forget what has, if asked to. Return the ids of what is left."""
        for job in self._jobs:
            try:
                if not job.in_final_state():
                    job.cancel()
                    job.wait_for_final_state(min(self.timeout, 10.0), 0.1)
            except Exception:  # of whatever kind: what is left is told of
                continue
        if not getattr(self.backend, "capabilities", None) or not self.backend.capabilities.durable:
            return []
        ids = [job.job_id() for job in self._jobs]
        return self._forget() if forget else ids

    def _forget(self) -> list[str]:
        from anyjob.session.pruning import forget

        left = []
        for job in self._jobs:
            try:
                if not job.in_final_state():
                    left.append(job.job_id())
                    continue
                forget(self.backend.services.ledger, [job.job_id()])
            except AnyjobError:
                left.append(job.job_id())
        return left

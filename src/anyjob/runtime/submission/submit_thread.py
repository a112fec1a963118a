"""Hands calls over to a backend on a thread of its own: for who must not wait until the backend has them."""

from __future__ import annotations

import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from anyjob import _typing as t
from anyjob.errors import DependencyFailedError, JobRejectedError, SpecError
from anyjob.process.forks import in_each_process
from anyjob.references import ResultOf
from anyjob.runtime.dependencies.job_arguments import holds_handle, with_references
from anyjob.serialization.pickling import dump_call
from anyjob.specs import Call
from anyjob.taskjob import TaskJob

TOGETHER = 1000
"""Calls that are handed over at a time, at most."""
PAUSE = 0.005
"""Seconds without another call after which those that wait are handed over."""
PATIENCE = 10
"""How many such pauses are waited for, at most, while more calls come."""


class Waiting(NamedTuple):
    """A call that waits to be handed over, pickled as it was, and who is told of its job, or of an error."""

    pickled: bytes
    resources: Mapping[str, Any]
    wanted: Callable[[], bool]
    told: Callable[[TaskJob[Any] | BaseException], None]
    needs: Mapping[str, Any] = {}
    """The jobs and futures whose results are arguments of it, by what stands for each in the pickle."""

    def call(self) -> Call[Any]:
        """Return the call.

        Raises:
            DependencyFailedError: the result of a future is an argument that has no job.
        """
        call = Call(*pickle.loads(self.pickled))
        return with_references(call, lambda one: self.needs[one.job_id]._reference()) if self.needs else call

    @property
    def is_complete(self) -> bool:
        """Whether all that it needs has been handed over."""
        return all(getattr(one, "is_handed_over", True) for one in self.needs.values())


class Handover:
    """Hands over what waits, as much at a time as there is. Its thread keeps the program alive until then.

    Args:
        backend: what it is handed over to.
    """

    def __init__(self, backend: t.TaskBackend) -> None:
        self._backend = backend
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Waiting] = deque()
        self._thread: threading.Thread | None = None

    def put(
        self,
        call: Call,
        resources: Mapping[str, Any],
        wanted: Callable[[], bool],
        told: Callable[[TaskJob[Any] | BaseException], None],
    ) -> None:
        """Have a call handed over soon, as it is now.

        Args:
            call: the call.
            resources: what it needs: those that are to go together share one mapping.
            wanted: asked then whether it still is to be.
            told: called with its job, or with what was raised in place of that.

        Raises:
            SerializationError: something in it cannot be pickled.
        """
        needs: dict[str, Any] = {}
        if holds_handle([call.args, call.kwargs.values()]):

            def stand_in(handle: Any) -> ResultOf:
                needs[f"{len(needs)}"] = handle  # lazy or not, it is asked for its reference later
                return ResultOf(f"{len(needs) - 1}")

            call = with_references(call, stand_in)
        waiting = Waiting(dump_call(call), resources, wanted, told, needs)
        with self._lock:
            self._waiting.append(waiting)
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="anyjob-handover", daemon=False)
            try:
                self._thread.start()
                return
            except RuntimeError:  # no thread any more, or the program is about to end
                pass
        self._run()

    def _run(self) -> None:
        while self._settle() and (some := self._next()):
            calls = []
            for one in list(some):
                try:
                    calls.append(one.call())
                except DependencyFailedError as error:
                    some.remove(one)
                    one.told(error)
            if some:
                self._hand_over(some, calls)
            del some, calls, one

    def _settle(self) -> bool:
        """Let who submits many go on: together they are handed over at the price of one."""
        for _ in range(PATIENCE):
            count = len(self._waiting)
            time.sleep(PAUSE)
            if len(self._waiting) == count:
                break
        return True

    def _next(self) -> list[Waiting]:
        """Take what waits first, and what is behind it with the same resources; with none the thread ends."""
        with self._lock:
            some: list[Waiting] = []
            while self._waiting and len(some) < TOGETHER:
                first = self._waiting[0]
                if some and (first.resources is not some[0].resources or not first.is_complete):
                    break
                one = self._waiting.popleft()
                if one.wanted():
                    some.append(one)
            if not some:
                self._thread = None
            return some

    def _hand_over(self, some: Sequence[Waiting], calls: Sequence[Call]) -> None:
        jobs: Sequence[TaskJob[Any] | BaseException]
        try:
            jobs = self._backend.run_many(calls, **some[0].resources)
        except (SpecError, JobRejectedError, DependencyFailedError) as error:
            if len(some) > 1:  # it may be about one of them
                for one, call in zip(some, calls, strict=True):
                    self._hand_over([one], [call])
                return
            jobs = [error]
        except BaseException as error:  # told to those who wait for this thread
            jobs = [error] * len(some)
        for one, job in zip(some, jobs, strict=True):
            one.told(job)

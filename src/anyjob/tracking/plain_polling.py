"""Polls plain jobs: one thread for all jobs of a backend that somebody waits for.

Jobs of task backends are not seen here: theirs is the `anyjob.tracking.tracker.Tracker` of their backend.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from anyjob.errors import BackendUnavailableError
from anyjob.process.forks import in_each_process
from anyjob.process.plugin_thread import PluginThread
from anyjob.process.reporting import report
from anyjob.status import JOB_FINAL_STATES, JobStatus, backoff
from anyjob.tracking.threads import thread_loop
from anyjob.tracking.threads.notifying_threads import telling

FLOOR = 0.05
"""Seconds until a job is asked a second time; longer each time after."""
CEILING = 5.0

_guard: threading.Lock
_pollers: dict[int, _Poller] = {}


def poll(job: Any, callback: Callable[[JobStatus | BaseException], None]) -> Callable[[], None]:
    """Have ``callback`` called once, with the final status of a job or what asking for it raised.

    Returns what takes the request back.
    """
    with _guard:
        poller = _poller_of(job)
        watch = poller.watch(job)
        watch.waiters.append(callback)

    def forget() -> None:
        with _guard:
            if callback in watch.waiters:
                watch.waiters.remove(callback)
                poller.drop_unwanted(watch)

    return forget


def follow(job: Any, on_status: Callable[[JobStatus], None]) -> None:
    """Have ``on_status`` called with each status that is seen of a job, until it has ended.

    A question that fails is asked again.
    """
    with _guard:
        _poller_of(job).watch(job).followers.append(on_status)


def heard(job: Any, status: JobStatus, wait: float) -> None:
    """Somebody who asks every ``wait`` seconds has heard this: all are told, and the job is asked later."""
    with _guard:
        poller = _pollers.get(_key_of(job))
        watch = None if poller is None else poller.watch_of(job)
        if poller is None or watch is None:
            return
        poller.postpone(watch, wait)
    poller.told(watch, status)


def poller_of(job: Any) -> object:
    """Return who asks about the jobs of a job's backend; None as long as nobody waits for any."""
    return _pollers.get(_key_of(job))


def _key_of(job: Any) -> int:
    return id(type(job) if job._backend is None else job._backend)


def _poller_of(job: Any) -> _Poller:
    key = _key_of(job)
    poller = _pollers.get(key)
    if poller is None:
        poller = _Poller(key)
        name = f"anyjob-poll-{type(job).__name__}"
        PluginThread(poller.run, name).start()
        _pollers[key] = poller
    return poller


class _Watch:
    """One job: asked once for all that want to know of it."""

    def __init__(self, job: Any) -> None:
        self.job = job
        self.waiters: list[Callable[[JobStatus | BaseException], None]] = []
        self.followers: list[Callable[[JobStatus], None]] = []
        self.turn = 0
        self.interval = FLOOR
        self.failures = 0


class _Poller:
    """Asks the jobs of one backend, each at an interval that grows while it does not end.

    Its methods are called with the guard held, save ``run`` and what that calls.
    """

    def __init__(self, key: int) -> None:
        self._key = key
        self._watches: dict[int, _Watch] = {}
        self._due: list[tuple[float, int, _Watch]] = []
        self._turns = itertools.count(1)
        self._wake = threading.Event()

    def watch(self, job: Any) -> _Watch:
        """Ask about a job soon, however long its interval has grown."""
        watch = self._watches.get(id(job))
        if watch is None:
            watch = self._watches[id(job)] = _Watch(job)
        watch.interval = FLOOR
        self._schedule(watch, 0)
        self._wake.set()
        return watch

    def watch_of(self, job: Any) -> _Watch | None:
        """Return what is known of a job that somebody wants to know of."""
        return self._watches.get(id(job))

    def postpone(self, watch: _Watch, wait: float) -> None:
        """Ask only where whoever asks at this interval has ceased to."""
        if watch.turn:
            self._schedule(watch, max(watch.interval, 1.5 * wait))
            self._wake.set()

    def told(self, watch: _Watch, status: JobStatus) -> None:
        """Tell all who want to know; called without the guard."""
        _call(watch.followers, status)
        if status in JOB_FINAL_STATES:
            self._end(watch, status)

    def drop_unwanted(self, watch: _Watch) -> None:
        """Ask no more about a job that nobody wants to know of."""
        if not watch.waiters and not watch.followers:
            self._drop(watch)
            self._wake.set()

    def _drop(self, watch: _Watch) -> None:
        watch.turn = 0
        self._watches.pop(id(watch.job), None)

    def _schedule(self, watch: _Watch, pause: float) -> None:
        # An earlier turn that is still in the heap counts no more.
        watch.turn = next(self._turns)
        heapq.heappush(self._due, (time.monotonic() + pause, watch.turn, watch))

    def run(self) -> None:
        """Ask, until there is nothing left to ask."""
        try:
            with telling(self):
                self._ask_all()
        finally:
            thread_loop.release()

    def _ask_all(self) -> None:
        while True:
            with _guard:
                while self._due and self._due[0][1] != self._due[0][2].turn:
                    heapq.heappop(self._due)
                if not self._due:
                    del _pollers[self._key]
                    return
                pause = self._due[0][0] - time.monotonic()
                watch = heapq.heappop(self._due)[2] if pause <= 0 else None
            if watch is None:
                self._wake.wait(pause)
                self._wake.clear()
            else:
                self._ask(watch)
                del watch  # while it sleeps, this thread holds on to no job

    def _ask(self, watch: _Watch) -> None:
        try:
            thread_loop.provide()
            status = watch.job._ask_status()
        except BackendUnavailableError:
            watch.failures += 1
            self._ask_again(watch)
        except BaseException as error:  # SystemExit too: who waits must hear of it
            watch.failures += 1
            self._raise(watch, error)
        else:
            watch.failures = 0
            self.told(watch, status)
            if status not in JOB_FINAL_STATES:
                self._ask_again(watch)

    def _ask_again(self, watch: _Watch) -> None:
        with _guard:
            if watch.turn:
                pause = backoff(watch.failures, ceiling=CEILING) if watch.failures else watch.interval
                watch.interval = min(watch.interval * 1.5, CEILING)
                self._schedule(watch, pause)

    def _raise(self, watch: _Watch, error: BaseException) -> None:
        with _guard:
            waiters, watch.waiters = watch.waiters, []
            if not watch.followers:
                self._drop(watch)
        self._ask_again(watch)
        _call(waiters, error)

    def _end(self, watch: _Watch, status: JobStatus) -> None:
        with _guard:
            waiters, watch.waiters = watch.waiters, []
            self._drop(watch)
        _call(waiters, status)


def _call(callbacks: Iterable[Callable[[Any], None]], said: Any) -> None:
    """Call each; one that raises is reported, and the rest are called."""
    for callback in tuple(callbacks):
        try:
            callback(said)
        except Exception as error:  # of a user's callback: the others are called all the same
            report("%r, told of a job that it is %s, raised", callback, said, level="error", error=error)


def _make_own() -> None:
    global _guard
    _guard = threading.Lock()
    _pollers.clear()


in_each_process(_make_own)

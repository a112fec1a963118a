"""Polls the task owner for events in a thread, without being inside of Ray meanwhile.

Whoever is when the program disconnects, or ends, takes the process down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from anyjob_ray.actors.job_events import Event
from anyjob_ray.modes.owner_client import OwnerClient
from anyjob_ray.tasks.object_refs import CHECK_INTERVAL, add_done_callback

POLL_TIMEOUT = 30.0
RETRY_INTERVAL = 0.2
"""Seconds after which an actor that is away is asked again."""


class EventPoller:
    """Hands over events as they come, from when it is started until it is closed.

    Args:
        ray: the module.
        owner: the actor, which is polled once its handle is known.
        on_events: called with the events of an answer, and whether these are all that there were.
    """

    def __init__(
        self, ray: Any, owner: OwnerClient, on_events: Callable[[Sequence[Event], bool], None]
    ) -> None:
        self._ray = ray
        self._owner = owner
        self._on_events = on_events
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._answers: SimpleQueue[Any] = SimpleQueue()

    def start(self) -> None:
        """Poll from now on."""
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="anyjob-ray-events", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Poll no more."""
        self._closed = True

    def _run(self) -> None:
        since, asked, deadline = -1, False, 0.0
        while not self._closed:
            if not asked:
                asked, deadline = self._ask(since), time.monotonic() + 2 * POLL_TIMEOUT
            try:
                answer = self._answers.get(timeout=CHECK_INTERVAL if asked else RETRY_INTERVAL)
            except Empty:
                if time.monotonic() > deadline or not self._ray.is_initialized():
                    since, asked = -1, False
                continue
            asked = False
            if isinstance(answer, BaseException):  # it is away; observations go on meanwhile
                since = -1
                time.sleep(RETRY_INTERVAL)
                continue
            since, events, complete = answer
            self._on_events(events, complete)

    def _ask(self, since: int) -> bool:
        actor = self._owner.known_actor
        if actor is None or not self._ray.is_initialized():
            return False
        add_done_callback(actor.poll.remote(since, POLL_TIMEOUT), self._answers.put)
        return True

"""Tells clients of starts and ends of their jobs, by as few messages as may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from anyjob_dask import protocol
from anyjob_dask.scheduler.scheduler_jobs import SchedulerJobs

MIN_DELAY, DELAY_PER_JOB, MAX_DELAY = 0.005, 0.0001, 0.02
"""Seconds for which ends are collected, once one was sent at once: at least, for each open job, at most.

A client with many open jobs does not wait for the next one, and each message costs the time of three
processes.
"""


class ClientEvents:
    """Events for the clients that listen to jobs; none is kept for others.

    Args:
        scheduler: Dask's.
        jobs: those that events are about.
    """

    def __init__(self, scheduler: Any, jobs: SchedulerJobs) -> None:
        self._scheduler = scheduler
        self._jobs = jobs
        self._listeners: dict[str, set[str]] = {}
        self._ended: list[str] = []
        self._is_collecting = False

    def listen(self, job_id: str, client: str) -> None:
        """Have a client told of a job from now on, beside others that are."""
        self._listeners.setdefault(job_id, set()).add(client)

    def forget(self, job_id: str) -> None:
        """Nobody is told of a job any more."""
        self._listeners.pop(job_id, None)

    def started(self, job_ids: Sequence[str], worker: str) -> None:
        """Tell that jobs run on a worker."""
        for client, some in self._by_client(job_ids).items():
            self._send(client, {"running": some, "worker": worker})

    def ended(self, job_id: str) -> None:
        """Tell of an end: of the first at once, of those that follow within a moment together."""
        self._ended.append(job_id)
        if not self._is_collecting:
            self._is_collecting = True
            self._send_ended()
            self._send_later()

    def _send_ended(self) -> None:
        ended, self._ended = self._ended, []
        for client, some in self._by_client(ended).items():
            states = {job_id: state for job_id in some if (state := self._jobs.state(job_id)) is not None}
            self._send(client, {"ended": states})
        for job_id in ended:
            if job_id not in self._jobs.keys:
                self.forget(job_id)

    def _send_later(self) -> None:
        open_jobs = len(self._jobs.keys) - len(self._jobs.holders)
        delay = min(max(MIN_DELAY, DELAY_PER_JOB * open_jobs), MAX_DELAY)
        asyncio.get_running_loop().call_later(delay, self._send_collected)

    def _send_collected(self) -> None:
        if not self._ended:
            self._is_collecting = False
            return
        self._send_ended()
        self._send_later()

    def _by_client(self, job_ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for job_id in job_ids:
            for client in self._listeners.get(job_id, ()):
                found.setdefault(client, []).append(job_id)
        return found

    def _send(self, client: str, event: dict[str, Any]) -> None:
        """Send an event to a client, and to nobody else; Dask keeps nothing of it."""
        if client in self._scheduler.client_comms:
            message = {"op": "event", "topic": protocol.TOPIC, "event": (time.time(), event)}
            self._scheduler.client_send(client, message)

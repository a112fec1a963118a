"""Reports to the scheduler which jobs run on a worker: once they have for a moment, many by one message."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from anyjob_dask import protocol

DELAY = 0.02
"""Seconds that a job runs before its start is reported, so that short ones cost no message."""


class StartReports:
    """Reports starts, by a thread that lies idle while nothing runs.

    Args:
        loop: the worker's event loop.
        send: called in that loop, sends a message to the scheduler.
    """

    def __init__(self, loop: Any, send: Any) -> None:
        self._loop = loop
        self._send = send
        self._lock = threading.Lock()
        self._running: dict[str, float] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def started(self, job_id: str) -> None:
        """Note that a job runs from now on."""
        self._running[job_id] = time.monotonic()
        if self._wake.is_set():
            return
        with self._lock:
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="anyjob-dask-starts", daemon=True)
                self._thread.start()

    def ended(self, job_id: str) -> None:
        """Note that it does not run any more."""
        self._running.pop(job_id, None)

    def _run(self) -> None:
        reported: set[str] = set()
        while True:
            self._wake.wait()
            time.sleep(DELAY)
            if not self._running:
                self._wake.clear()
                reported.clear()
                if self._running:  # one that has just come and saw no need to wake us
                    self._wake.set()
                continue
            latest = time.monotonic() - DELAY
            running = {job_id for job_id, since in list(self._running.items()) if since <= latest}
            new = sorted(running - reported)
            reported = running
            if new:
                with suppress(RuntimeError):  # the worker's loop has closed
                    self._loop.add_callback(self._send, {"op": protocol.STARTED, "job_ids": new})

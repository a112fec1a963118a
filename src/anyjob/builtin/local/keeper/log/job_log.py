"""What the keeper logs of its jobs: what has happened, and cannot be written now, is as soon as it can be."""

from __future__ import annotations

import time

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.keeper.log import worker_log
from anyjob.builtin.local.keeper.log.lines import (
    devices_line,
    event_line,
    keeper_line,
    process_line,
    start_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.job import Job, Key
    from anyjob.builtin.local.keeper.log.writer import LogWriter

RETRY = 0.2
"""Seconds after which what could not be written is tried again."""


class JobLog:
    """Says in the log what happens to jobs.

    Args:
        writer: appends to the file.
        loop: the keeper's event loop.
    """

    def __init__(self, writer: LogWriter, loop: EventLoop) -> None:
        self._writer = writer
        self._loop = loop
        self._held: dict[Key, list[str]] = {}
        self._gathered: list[dict[str, Any]] = []
        self.unwritten: list[dict[str, Any]] = []
        """What could not be written yet of starts and ends, as the messages say that tell it."""

    @property
    def position(self) -> dict[str, Any]:
        """The ``log``, a path, and the ``offset`` of its end: what the supervisor is told of it."""
        return {"log": self._writer.path, "offset": self._writer.size}

    @property
    def unwritten_lines(self) -> bytes:
        """What is to come behind that."""
        return b"".join(map(event_line, self.unwritten))

    def starting(self, job: Job) -> None:
        """A job is about to start, or may have started.

        Raises:
            OSError: it cannot be written: so the job must not start.
        """
        # The log is common to all jobs, so that from the first one that asks for it on, all lines
        # reach the disk.
        if job.durable:
            self._writer.make_durable()
        lines = start_line(job.id, job.attempt, time.time())
        if job.devices:
            lines += devices_line(job.id, job.attempt, job.devices)
        self._append(lines, sync=True)
        job.is_logged = True
        if job.devices:
            self._held[job.key] = job.devices

    @property
    def worker_logs(self) -> str:
        """The directory of the logs of workers."""
        return worker_log.directory(self._writer.path)

    def may_have_started(self, job: Job) -> None:
        """A worker has a job, of which the worker's log says whether it has begun."""
        at = job.started or time.time()
        try:
            self._append(start_line(job.id, job.attempt, at))
        except OSError as error:
            log_error(error)
            self._write_later({"op": "started", "id": job.id, "attempt": job.attempt, "time": at})

    def process_started(self, job: Job, pid: int) -> None:
        """A job has its process."""
        try:
            self._append(process_line(job.id, job.attempt, pid, job.starttime))
        except OSError as error:
            log_error(error)  # its mark finds it, too

    def gather(self, event: dict[str, Any]) -> None:
        """A job has ended, as the message says that tells it: it is written together with others."""
        self._gathered.append(event)

    def write_gathered(self) -> None:
        """Write what was gathered; nothing of it is told before that.

        Each gets the ``offset`` behind its own line: up to there the log may be compacted once it is told,
        and no further, for the next one may not have been told then.
        """
        if self._gathered:
            try:
                self._append(b"")
            except OSError as error:
                log_error(error)

    def freed(self, event: dict[str, Any]) -> None:
        """Nothing is left of a job that has GPUs, as the message says that tells it."""
        self._held.pop((event["id"], event["attempt"]), None)
        self.ended(event)

    def ended(self, event: dict[str, Any]) -> None:
        """A job has ended, as the message says that tells it."""
        try:
            self._append(event_line(event), sync=True)
        except OSError as error:
            log_error(error)
            self._write_later(event)

    def compact(self, running: Iterable[Job], offset: int | None) -> None:
        """Forget what has ended, up to an offset; where that cannot be written, the log is as before."""
        self.write_gathered()
        now = time.time()
        lines = [keeper_line(now)]
        for job in running:
            lines.append(start_line(job.id, job.attempt, job.started or now))
            if job.pid is not None:
                lines.append(process_line(job.id, job.attempt, job.pid, job.starttime))
        lines += [devices_line(*key, devices) for key, devices in self._held.items()]
        try:
            self._writer.compact(lines, offset)
        except OSError as error:
            log_error(error)

    def _append(self, line: bytes, sync: bool = False) -> None:
        """Write a line, after those that could not be written before, and together with what was gathered.

        Raises:
            OSError: it cannot be written; what was gathered is, as soon as it can be.
        """
        events, self._gathered = self._gathered, []
        lines = list(map(event_line, events))
        try:
            self._write_unwritten()
            offset = self._writer.size
            self._writer.append(b"".join((*lines, line)), sync=sync or bool(events))
        except OSError:
            if events:
                self._write_later(*events)
            raise
        for event, written in zip(events, lines, strict=True):
            offset += len(written)
            event["offset"] = offset

    def _write_later(self, *events: dict[str, Any]) -> None:
        self.unwritten += events
        self._loop.call_later(RETRY, self._retry)

    def _write_unwritten(self) -> None:
        while self.unwritten:
            self._writer.append(event_line(self.unwritten[0]), sync=True)
            del self.unwritten[0]

    def _retry(self) -> None:
        try:
            self._write_unwritten()
        except OSError:
            self._loop.call_later(RETRY, self._retry)

"""What there is to be read of jobs: those of the backends that are seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from anyjob import JOB_FINAL_STATES, JobNotFoundError, JobStatus, Resources, Session, SpecError
from anyjob.sdk import LiveView, PluginThread
from anyjob_mcp.limits import Limits

PATIENCE = 5.0
"""Seconds that engines have to say where jobs are, before what is known is told."""
ENDED = tuple(each.name for each in JOB_FINAL_STATES)
OPEN = tuple(each.name for each in JobStatus if each.name not in ENDED)
TAIL = 4096
"""Bytes of what a job wrote last that go with an explanation."""
MOST_LISTED = 200
LONGEST_PART = 64 * 1024
_SHORT = ("id", "name", "backend", "state", "reason", "message", "work", "tags", "host", "submitted",
          "started", "finished", "cpus", "gpus", "memory")  # fmt: skip
_EXPLAINED = ("job_id", "name", "backend", "state", "reason", "message", "attempt", "queue_position",
              "headline", "why", "ways_out")  # fmt: skip


class Reading:
    """Reads jobs, as far as they may be seen.

    Args:
        session: whose jobs.
        limits: of which backends.
    """

    def __init__(self, session: Session, limits: Limits) -> None:
        self._session, self._limits = session, limits
        self._view = LiveView(session)
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None

    def listed(self, state: str, name: str, backend: str, limit: int) -> dict[str, Any]:
        """Return the newest jobs that fit, newest first, and how many fit."""
        if backend:
            self._limits.check_backend(backend)
        if not 1 <= limit <= MOST_LISTED:
            raise SpecError(f"limit is a number from 1 to {MOST_LISTED}, not {limit}")
        wanted = _states(state)
        found = [
            job
            for job in self.jobs()
            if (not wanted or job["state"] in wanted)
            and (not name or job["name"] == name)
            and (not backend or job["backend"] == backend)
        ]
        return {"fit": len(found), "jobs": [{key: job[key] for key in _SHORT} for job in found[:limit]]}

    def jobs(self) -> list[Mapping[str, Any]]:
        """Return all jobs that are seen, newest first."""
        self._ask()
        with self._lock:
            return [job for job in self._view.jobs().values() if self._limits.sees(job["backend"])]

    def details(self, job_id: str) -> dict[str, Any]:
        """Return what is known of a job.

        Raises:
            JobNotFoundError: there is none, or none that is seen.
        """
        self._ask()
        found = self._view.details(job_id)
        if found is None and job_id:
            with suppress(JobNotFoundError):  # which names others, of backends that may not be seen
                found = self._view.details(self._session.get_job(job_id).job_id())
        if found is None or not self._limits.sees(found["backend"]):
            raise JobNotFoundError(
                f"no one job that this server sees has an id that begins with {job_id!r}: the tool list "
                "tells them"
            )
        return found

    def explained(self, job_id: str) -> dict[str, Any]:
        """Return why a job waits or failed, in words, what can be done, and what it wrote last."""
        found = self.details(job_id)
        last = {
            stream: (self._view.log(found["job_id"], stream, None, TAIL) or {}).get("text", "")
            for stream in ("stdout", "stderr")
        }
        return {**{key: found[key] for key in _EXPLAINED}, "wrote_last": last}

    def log(self, job_id: str, stream: str, begin: int, size: int) -> dict[str, Any]:
        """Return a part of what a job has written; of the last of it where ``begin`` is negative."""
        if not 1 <= size <= LONGEST_PART or begin >= 1 << 62:
            raise SpecError(
                f"size is a number of bytes from 1 to {LONGEST_PART}, begin one from 0; -1: the last"
            )
        found = self.details(job_id)
        part = self._view.log(found["job_id"], stream, None if begin < 0 else begin, size)
        return {"job_id": found["job_id"], "stream": stream, **(part or {})}

    def usage(self, by: list[str], since: str) -> list[dict[str, Any]]:
        """Return how long jobs ran, what they used of what they asked for, and what they cost."""
        keys = list(dict.fromkeys(["backend", *by]))
        earliest = time.time() - _seconds(since) if since else None
        return [each for each in self._view.usage(keys, earliest) if self._limits.sees(each["backend"])]

    def _ask(self) -> None:
        """Have engines say where jobs are; one that does not answer is not waited for."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = PluginThread(self._ask_engines)
                self._asking.start()
            asking = self._asking
        asking.join(PATIENCE)

    def _ask_engines(self) -> None:
        with suppress(Exception):  # an engine is away, or its plugin is broken: what is known is told
            self._view.ask()


def _seconds(text: str) -> float:
    given: Any = text
    try:
        return Resources(walltime=given).walltime or 0.0
    except SpecError as error:
        raise SpecError(f"since is how long ago, such as 2h or 30d, not {text!r}") from error


def _states(text: str) -> tuple[str, ...]:
    words = {"": (), "OPEN": OPEN, "ENDED": ENDED, "FAILED": ("ERROR",)}
    words |= {each: (each,) for each in (*OPEN, *ENDED)}
    if text.upper() not in words:
        raise SpecError(f"state is open, ended, failed, {', '.join((*OPEN, *ENDED))}, not {text!r}")
    return words[text.upper()]

"""The job that this process is part of: while it waits for jobs of `local`, it gives its place back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyjob.builtin.local.connection import SupervisorConnection
from anyjob.builtin.local.process_table import ATTEMPT, JOB_ID, KEEPER
from anyjob.process.forks import in_each_process


class OwnJob:
    """Tells the supervisor when the job waits, and when it goes on.

    A supervisor forgets it with the connection: so a process that is killed while it waits gives nothing
    away for good, and a new supervisor is told anew.

    Which job that is stands in the environment, and may be another one tomorrow: a warm worker makes one call
    after the other.

    Args:
        state: the state directory: a job of another one is none of ours.
        waits: tells whether somebody in this process waits.
    """

    def __init__(self, state: Path, waits: Callable[[], bool]) -> None:
        self._state = os.fsencode(state)
        self._waits = waits
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.RLock()
        self._connection: SupervisorConnection | None = None
        self._has_told = False

    def connected(self, connection: SupervisorConnection) -> None:
        """There is a connection, of which the other end knows nothing yet."""
        with self._lock:
            self._connection, self._has_told = connection, False
        self.update()

    def update(self) -> None:
        """Tell whether the job waits, where that is not what was told last."""
        with self._lock:  # whichever thread comes last tells what is so by then
            waits, connection = self._waits(), self._connection
            if waits == self._has_told or connection is None:
                return
            message = self._job() if waits else {}
            if message is not None:
                self._has_told = waits
                connection.say({"op": "waiting" if waits else "resumed", **message})

    def _job(self) -> dict[str, Any] | None:
        """Return the job that this process is part of now; None where it is of none."""
        environment = os.environb
        job_id, attempt = environment.get(JOB_ID, b""), environment.get(ATTEMPT, b"")
        if environment.get(KEEPER) != self._state or not job_id or not attempt.isdigit():
            return None
        return {"job": job_id.decode("ascii", "replace"), "attempt": int(attempt)}

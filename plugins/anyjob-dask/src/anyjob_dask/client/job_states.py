"""What the client knows of jobs in the cluster: what the scheduler has last reported, and their results."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anyjob_dask.client.connection import SchedulerConnection
from anyjob_dask.client.observations import LastObservation, has_ended
from anyjob_dask.protocol import waits_for

MAX_AGE = 5.0
"""Seconds after which the state of a job that has not ended is asked for once more."""


class JobStates:
    """The last observation of each job, and the results that have come, until it is forgotten.

    Args:
        connection: to the scheduler.
        fetch_large: whether large values are fetched, too; else they stay in the cluster.
    """

    def __init__(self, connection: SchedulerConnection, *, fetch_large: bool) -> None:
        self._connection = connection
        self._fetch_large = fetch_large
        self._last: dict[str, LastObservation] = {}
        self._results: dict[str, Any] = {}
        self._unseen: set[str] = set()
        self._generation = 0
        self._lock = threading.Lock()

    def last(self, job_id: str) -> LastObservation | None:
        """Return the last observation of a job; None where it is not known."""
        return self._last.get(job_id)

    def result(self, job_id: str) -> Any:
        """Return the result of a job, a `JobResult` or its bytes; None where it is not here."""
        return self._results.get(job_id)

    def submitted(self, job_ids: Iterable[str], message: str) -> None:
        """Note that jobs wait from now on, and why, where that is known."""
        for job_id in job_ids:
            self._last[job_id] = LastObservation(message=message)

    def submitted_after(self, job_id: str, needs: Sequence[str], message: str) -> None:
        """Note that a job waits from now on, for these where no other reason is known."""
        self._last[job_id] = LastObservation(message=message or waits_for(needs))
        self._unseen.add(job_id)

    def unseen(self) -> list[str]:
        """Return the jobs that wait for others, and of which the scheduler has told nothing yet."""
        return list(self._unseen)

    def is_there(self, job_id: str) -> bool:
        """Return whether a job has a result in the cluster that was not fetched, or may have one yet."""
        last = self._last.get(job_id)
        return last is not None and last.state != "no-result"

    def forget(self, job_id: str) -> LastObservation | None:
        """Know nothing of a job any more; return what was observed last."""
        self._results.pop(job_id, None)
        self._unseen.discard(job_id)
        return self._last.pop(job_id, None)

    def on_event(self, event: dict[str, Any]) -> list[str]:
        """Take in an event of the scheduler's, also of jobs of others; return the ids of ours.

        Called in the thread of Dask's event loop.
        """
        changed = [job_id for job_id in event.get("running", ()) if self._started(job_id, event["worker"])]
        for job_id, state in event.get("ended", {}).items():
            if job_id in self._last:
                self._update(job_id, state)
                changed.append(job_id)
        return changed

    def _started(self, job_id: str, worker: str) -> bool:
        last = self._last.get(job_id)
        if last is None or last.state not in ("waiting", "running"):
            return False
        self._unseen.discard(job_id)
        self._last[job_id] = LastObservation("running", worker)
        return True

    def _update(self, job_id: str, state: dict[str, Any]) -> None:
        """Take in what the scheduler says of a job."""
        self._unseen.discard(job_id)
        if "result" in state:
            self._results[job_id] = state["result"]
        last = self._last.get(job_id)
        if last is None or not has_ended(last):
            fields = {name: state[name] for name in LastObservation.__struct_fields__ if name in state}
            self._last[job_id] = LastObservation(**fields)

    # --- asking -----------------------------------------------------------------------------------

    def discard_outdated(self) -> None:
        """Forget what was reported by a connection that is there no more."""
        with self._lock:
            if self._generation != self._connection.generation:
                self._generation = self._connection.generation
                self._last.clear()
                self._results.clear()
                self._unseen.clear()

    def refresh(self, job_ids: Iterable[str]) -> None:
        """Ask the scheduler about jobs that it has not reported, or not for a while."""
        oldest = time.monotonic() - MAX_AGE
        outdated = [job_id for job_id in job_ids if self._is_outdated(job_id, oldest)]
        if not outdated:
            return
        states = self._connection.request("job_states", job_ids=outdated)
        for job_id in set(outdated).difference(states):
            self._last.pop(job_id, None)  # it is not known there: not now, or not any more
        for job_id, state in states.items():
            self._update(job_id, state)

    def _is_outdated(self, job_id: str, oldest: float) -> bool:
        last = self._last.get(job_id)
        return last is None or (not has_ended(last) and last.since < oldest)

    def fetch_results(self, keys: Mapping[str, str]) -> None:
        """Fetch the results of jobs that have finished: these say how they have ended.

        Args:
            keys: the key of each job, by its id.
        """
        missing = {}
        for job_id, key in keys.items():
            last = self._last.get(job_id)
            if last is not None and last.state == "finished" and job_id not in self._results:
                missing[job_id] = key
        if not missing:
            return
        found = self._gather(missing)
        for job_id, key in missing.items():
            if found.get(key) is not None:
                self._results[job_id] = found[key]
            else:
                self._last.pop(job_id, None)  # another process may have taken it out

    def _gather(self, keys: Mapping[str, str]) -> dict[str, Any]:
        """Return the results of tasks, by their keys; a large value that stays is left out of its own."""
        from anyjob_dask.worker import worker_tasks

        whole = []
        found = {}
        for job_id, key in keys.items():
            last = self._last.get(job_id)
            if last is not None and last.large and last.worker and not self._fetch_large:
                found[key] = self._connection.run_on(last.worker, worker_tasks.peek_result, key)
            else:
                whole.append(key)
        found.update(self._connection.gather(whole) if whole else {})
        return found

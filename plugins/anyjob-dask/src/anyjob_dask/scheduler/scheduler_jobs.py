"""What a scheduler knows of anyjob's jobs, beside what Dask knows of their tasks."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from anyjob.sdk import runner
from anyjob_dask import protocol
from anyjob_dask.keys import JobKey
from anyjob_dask.serialization import LARGE

MAX_REMEMBERED = 10_000
"""Jobs that have left Dask without a result, and are remembered with the reason."""


class Ending(NamedTuple):
    """Why a job has left Dask without a result: what a client is told of it.

    Args:
        reason: as that of an `anyjob.Outcome`, or ``cancelled``.
        message: the same in words.
        lost_result: the id of the job whose result was lost that it was to take.
    """

    reason: str
    message: str
    lost_result: str = ""


class SchedulerJobs:
    """The jobs of anyjob's in a scheduler.

    Args:
        scheduler: Dask's.

    Attributes:
        keys: the key of each job that has a task.
        parsed: what each of these keys says.
        started: when a worker reported of a job that it runs (`time.time`).
        results: key and result of finished jobs whose result is small.
        holders: the address of the worker that has the result of a finished job.
        without_result: of jobs that have left Dask without a result, why.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self.keys: dict[str, str] = {}
        self.parsed: dict[str, JobKey] = {}
        self.started: dict[str, float] = {}
        self.results: dict[str, tuple[str, bytes]] = {}
        self.holders: dict[str, str] = {}
        self.without_result: dict[str, Ending] = {}

    def add(self, key: str, parsed: JobKey) -> None:
        """A task has come."""
        self.keys[parsed.job_id] = key
        self.parsed[key] = parsed

    def is_known(self, job_id: str) -> bool:
        """Whether a job has a task, or had one and left without a result."""
        return job_id in self.keys or job_id in self.without_result

    def task(self, job_id: str) -> Any:
        """Return Dask's task of a job; None where there is none."""
        key = self.keys.get(job_id)
        return None if key is None else self._scheduler.tasks.get(key)

    def state(self, job_id: str) -> dict[str, Any] | None:
        """Return what a client is told of a job: fields of a `LastObservation`; None where it is not known.

        ``key`` and ``result`` come along, where there are some.
        """
        if job_id in self.results:
            key, data = self.results[job_id]
            return {"state": "finished", "key": key, "result": data}
        if job_id in self.without_result:
            ending = self.without_result[job_id]
            return {"state": "no-result", "key": self.keys.get(job_id), **ending._asdict()}
        task = self.task(job_id)
        if task is None:
            return None
        worker = task.processing_on.address if task.processing_on else ""
        again = task.suspicious if self.parsed[task.key].restartable else 0
        state = {"key": task.key, "worker": worker, "attempt": 1 + again}
        if task.state == "memory":
            return {**state, "state": "finished", **_large(task)}
        if job_id in self.started and worker:
            return {**state, "state": "running"}
        return {**state, "state": "waiting", "message": self._waiting_reason(task)}

    def _waiting_reason(self, task: Any) -> str:
        if task.state == "waiting":
            needed = [
                parsed.job_id for each in task.waiting_on or () if (parsed := self.parsed.get(each.key))
            ]
            return protocol.waits_for(needed) if needed else ""
        if task.state != "no-worker":
            return ""
        if not self._scheduler.workers:
            return "no worker is there yet"
        required = task.resource_restrictions or {}
        if not required:
            return "no worker is there that may run it"
        amounts = [f"{name}={amount:g}" for name, amount in required.items()]
        return (
            f"no worker that is there now has {', '.join(amounts)}: start one by `dask worker … --resources "
            f'"{" ".join(amounts)}"`'
        )

    # --- what becomes of them ---------------------------------------------------------------------

    def start(self, job_ids: list[str]) -> None:
        """A worker has reported that these run."""
        self.started.update(dict.fromkeys(job_ids, time.time()))

    def finish(self, key: str, worker: str) -> None:
        """A task has a result, which a worker has."""
        parsed = self.parsed[key]
        task = self._scheduler.tasks[key]
        data = (task.metadata or {}).pop(protocol.RESULT_METADATA, None)
        if data is not None:
            self.results[parsed.job_id] = key, data
        self.holders[parsed.job_id] = worker
        if not parsed.restartable:
            # A result is data from now on: Dask would make what is lost anew, by running it again.
            task.run_spec = None

    def forget(self, key: str) -> None:
        """Dask has forgotten a task: nobody wants it any more, or what it returned was lost."""
        job_id = self.parsed[key].job_id
        holder = self.holders.pop(job_id, None)
        if holder is None or self._is_connected(holder):  # those who wanted it have released it
            self.results.pop(job_id, None)
        else:
            self._remember([(each, self._bereft(each, job_id)) for each in self._unmade(job_id)])
            if job_id not in self.results:
                message = "the worker that held its result died, and the result with it"
                self.end_without_result(job_id, "lost", message)
        del self.parsed[key], self.keys[job_id]
        self.started.pop(job_id, None)

    def end_without_result(self, job_id: str, reason: str, message: str) -> None:
        """Remember why a job has no result; the first reason stays. Nor has what takes its result."""
        if job_id not in self.without_result:
            self._remember([(job_id, Ending(reason, message))])

    def _remember(self, ended: list[tuple[str, Ending]]) -> None:
        while ended:
            job_id, ending = ended.pop()
            self.without_result[job_id] = ending
            ended += self._broken_by(job_id, ending)
        while len(self.without_result) > MAX_REMEMBERED:
            del self.without_result[next(iter(self.without_result))]

    def _broken_by(self, job_id: str, ending: Ending) -> list[tuple[str, Ending]]:
        status = "CANCELLED" if ending.reason == "cancelled" else "ERROR"
        why = str(runner.broken(job_id, status, ending.reason, ending.message))
        return [(each, Ending("dependency", why, ending.lost_result)) for each in self._unmade(job_id)]

    def _unmade(self, job_id: str) -> list[str]:
        """Return those that take the result of a job and have not been made."""
        left = [each for each in self.dependents(job_id) if each not in self.holders]
        return [each for each in left if each not in self.without_result]

    def _bereft(self, job_id: str, needed: str) -> Ending:
        """Return why a job is not made that takes the result of one which has succeeded."""
        lost = f"{runner.RESULT_LOST.format(needed)} with the worker that held it"
        way_out = "(submit both anew)"
        if self.parsed[self.keys[job_id]].durable:
            lost += ", and nobody had fetched it"
            way_out = f"('anyjob rerun --downstream {needed}' makes it anew)"
        return Ending("dependency", f"{lost} {way_out}", needed)

    def dependents(self, job_id: str) -> list[str]:
        """Return the jobs that take the result of this one, and that Dask has not forgotten."""
        task = self.task(job_id)
        found = () if task is None else (self.parsed.get(each.key) for each in task.dependents)
        return [parsed.job_id for parsed in found if parsed is not None]

    def drop(self, job_id: str) -> None:
        """Keep nothing of a job but what Dask's own task is."""
        self.without_result.pop(job_id, None)
        self.results.pop(job_id, None)

    def _is_connected(self, address: str) -> bool:
        worker = self._scheduler.workers.get(address)
        return worker is not None and worker.status.name != "closed"


def _large(task: Any) -> dict[str, Any]:
    if task.nbytes < LARGE or not task.who_has:
        return {"large": False}
    return {"large": True, "worker": next(iter(task.who_has)).address}

"""The scheduler plugin: what Dask's scheduler does for anyjob's jobs, once a client has registered it.

It keeps durable jobs for whoever asks, has Dask run none a second time that is not restartable, answers
requests about many jobs at a time, and tells clients of starts and ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from distributed import SchedulerPlugin

from anyjob_dask import protocol, versions
from anyjob_dask.keys import JobKey, parse
from anyjob_dask.scheduler.client_events import ClientEvents
from anyjob_dask.scheduler.scheduler_jobs import SchedulerJobs

VIRTUAL_CLIENT = "anyjob"
"""The client, of no process, in whose name the scheduler keeps durable jobs."""


class JobSchedulerPlugin(SchedulerPlugin):
    """The plugin in the scheduler."""

    name = "anyjob-jobs-1"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Register the handlers of requests by clients, and of what workers report."""
        self.scheduler = scheduler
        self.jobs = SchedulerJobs(scheduler)
        self.events = ClientEvents(scheduler, self.jobs)
        self._out_of_memory: set[str] = set()
        self._arrivals: list[asyncio.Future[None]] = []
        for handler in (self.cluster_info, self.job_states, self.keep, self.release, self.cancel):
            scheduler.handlers[protocol.HANDLER_PREFIX + handler.__name__] = handler
        scheduler.stream_handlers[protocol.STARTED] = self.on_started

    # --- requests by clients ------------------------------------------------------------------

    async def cluster_info(self) -> dict[str, Any]:
        """Return threads, resources and versions of each worker, by address; and the scheduler's versions."""
        workers = {
            address: {
                "threads": worker.nthreads,
                "resources": dict(worker.resources),
                "versions": _versions_of(worker),
            }
            for address, worker in self.scheduler.workers.items()
        }
        return {"workers": workers, "versions": versions.installed()}

    async def job_states(
        self, job_ids: Sequence[str], client: str, arrival_timeout: float = 0
    ) -> dict[str, dict[str, Any]]:
        """Return the state of each job that is known: see `SchedulerJobs.state`.

        Args:
            job_ids: ours.
            client: who asks, and is told from now on what becomes of them.
            arrival_timeout: seconds to wait for jobs that have not arrived yet.
        """
        await self._wait_for_arrival(job_ids, arrival_timeout)
        for job_id in job_ids:
            if job_id in self.jobs.keys:
                self.events.listen(job_id, client)
        return {job_id: state for job_id in job_ids if (state := self.jobs.state(job_id)) is not None}

    async def _wait_for_arrival(self, job_ids: Sequence[str], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not all(map(self.jobs.is_known, job_ids)):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            # A future, since what waits for an event begins to do so a moment later only.
            arrival = asyncio.get_running_loop().create_future()
            self._arrivals.append(arrival)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(arrival, left)

    async def keep(self, job_ids: Sequence[str], client: str) -> list[str]:
        """Keep jobs that have a result, or may have one yet, for a client until it releases their futures.

        Returns those that are there.
        """
        found = {each: self.jobs.task(each) for each in job_ids if each not in self.jobs.without_result}
        there = {each: task for each, task in found.items() if task is not None and task.state != "erred"}
        self.scheduler.client_desires_keys(keys=[task.key for task in there.values()], client=client)
        return list(there)

    async def release(self, job_ids: Sequence[str]) -> int:
        """Keep jobs no longer: what came of them is known. Returns how many were known here."""
        keys = [key for each in job_ids if (key := self.jobs.keys.get(each)) is not None]
        self._release_keys(keys)
        for each in job_ids:
            self.jobs.drop(each)
        return len(keys)

    async def cancel(
        self,
        job_ids: Sequence[str],
        not_begun: Sequence[str] = (),
        behind: Sequence[str] = (),
        arrival_timeout: float = 0,
    ) -> dict[str, str]:
        """Take jobs that no worker has out of the queue.

        Args:
            job_ids: those to take out if no worker has them yet.
            not_begun: those that a worker has, and has promised not to begin: they are taken out, too.
            behind: others that may take results of these, and may not have arrived yet, either.
            arrival_timeout: seconds to wait for jobs that have not arrived yet.

        Returns by job: "" where that is done, else the address of the worker that has it; those that have
        ended, or are not known, are left out.
        """
        await self._wait_for_arrival([*job_ids, *behind], arrival_timeout)
        found = {}
        for job_id in job_ids:
            task = self.jobs.task(job_id)
            if task is None or task.state in ("memory", "erred", "forgotten"):
                continue
            if task.processing_on is not None and job_id not in not_begun:
                found[job_id] = task.processing_on.address
                continue
            self.jobs.end_without_result(job_id, "cancelled", "")
            self._release_keys([task.key])
            found[job_id] = ""
        return found

    def _release_keys(self, keys: list[str]) -> None:
        """Have no client want these tasks any more, so that the scheduler forgets them.

        What takes the result of one that has none goes with it, since Dask would make it for that.
        """
        wanted: dict[str, list[str]] = {}
        keys = list(keys)
        for key in keys:
            parsed = self.jobs.parsed.get(key)
            if parsed is not None and parsed.job_id in self.jobs.without_result:
                keys += [self.jobs.keys[each] for each in self.jobs.dependents(parsed.job_id)]
            task = self.scheduler.tasks.get(key)
            for client in (task.who_wants or ()) if task is not None else ():
                wanted.setdefault(client.client_key, []).append(key)
        for client, some in wanted.items():
            self.scheduler.client_releases_keys(keys=some, client=client)

    # --- what the scheduler and the workers report ------------------------------------------------

    def update_graph(self, scheduler: Any, *, client: str, keys: Any, **kwargs: Any) -> None:
        """New tasks have come, and nothing was done about them yet."""
        desired: dict[str, list[str]] = {}
        for key in keys:
            parsed = parse(key)
            if parsed is None:
                continue
            self.jobs.add(key, parsed)
            self.events.listen(parsed.job_id, client)
            desired.setdefault(VIRTUAL_CLIENT if parsed.durable else _virtual_client(client), []).append(key)
            if not parsed.restartable:
                # The death of one worker is enough: by itself Dask tries it on three others.
                scheduler.tasks[key].suspicious = scheduler.allowed_failures
        for virtual_client, some in desired.items():
            scheduler.client_desires_keys(keys=some, client=virtual_client)
            # We tell the client what it wants to know, by fewer messages than Dask does.
            scheduler.client_releases_keys(keys=some, client=client)
        arrivals, self._arrivals = self._arrivals, []
        for arrival in arrivals:
            if not arrival.done():
                arrival.set_result(None)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """A client has gone, and with it what was kept for it alone."""
        virtual_client = _virtual_client(client)
        if virtual_client in scheduler.clients:
            scheduler.remove_client(virtual_client)

    def on_started(self, job_ids: Sequence[str], worker: str = "", **kwargs: Any) -> None:
        """A worker has had these jobs running for a moment."""
        known = [each for each in job_ids if each in self.jobs.keys]
        self.jobs.start(known)
        self.events.started(known, worker)

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """A task is in another state."""
        parsed = self.jobs.parsed.get(key)
        if parsed is None:
            return
        job_id = parsed.job_id
        if finish == "memory":
            self.jobs.finish(key, str(kwargs.get("worker") or ""))
        elif finish == "erred":
            self.jobs.end_without_result(job_id, *self._failure(kwargs))
        elif finish == "released":
            self._released(key, parsed, start)
            return
        elif finish == "forgotten":
            self.jobs.forget(key)
            if job_id not in self.jobs.without_result:
                self.events.forget(job_id)
                return
        else:
            return
        self.events.ended(job_id)

    def _released(self, key: str, parsed: JobKey, start: str) -> None:
        """A task goes back: its worker has gone, or nobody wants it any more."""
        ran = self.jobs.started.pop(parsed.job_id, None) is not None
        wanted = bool(self.scheduler.tasks[key].who_wants)
        if start == "processing" and ran and wanted and not parsed.restartable:
            self.jobs.end_without_result(
                parsed.job_id,
                "node-failure",
                "its worker was retired while it ran; it is not marked restartable, so it is not run again",
            )
            self.events.ended(parsed.job_id)
            asyncio.get_running_loop().call_soon(self._release_keys, [key])

    def _failure(self, details: dict[str, Any]) -> tuple[str, str]:
        """Return reason and message of a task that has failed: what our work raises is in its result, so that
        Dask has given it up.
        """
        text = details.get("exception_text")
        worker = str(details.get("worker") or "")
        if text:
            reason = "missing-module" if "ModuleNotFoundError" in text else "exception"
            trace = details.get("traceback_text") or ""
            return reason, f"the worker {worker} could not begin it: {text}\n{trace}".strip()
        if worker in self._out_of_memory:
            return "memory", f"its worker {worker} was killed since it used more memory than it may"
        return "node-failure", f"its worker {worker} died while it had the job"

    def log_event(self, topic: Any, msg: Any) -> None:
        """A nanny has said why it ends its worker."""
        if topic == "worker-restart-memory" and isinstance(msg, dict) and msg.get("worker"):
            self._out_of_memory.add(msg["worker"])

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        """A worker has gone, and what it had was accounted for."""
        self._out_of_memory.discard(worker)

    def restart(self, scheduler: Any) -> None:
        """Somebody has had the scheduler forget all there was."""
        for parsed in list(self.jobs.parsed.values()):
            self.jobs.end_without_result(parsed.job_id, "lost", "the cluster was restarted")
            self.events.ended(parsed.job_id)


def _virtual_client(client: str) -> str:
    """The name in which the scheduler keeps jobs that are a client's, and end with it."""
    return f"{VIRTUAL_CLIENT}-{client}"


def _versions_of(worker: Any) -> dict[str, str]:
    """Of what a worker says of its environment, that which must be alike."""
    packages = dict((worker.versions or {}).get("packages") or {})
    return {name: str(packages[name]) for name in ("python", "distributed") if packages.get(name)}

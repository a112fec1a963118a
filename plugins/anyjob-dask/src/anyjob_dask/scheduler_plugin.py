"""What the scheduler does for anyjob's jobs: a plugin in it, sent there by the first client that comes.

It keeps durable jobs for whoever asks, has Dask run none a second time that is not restartable, answers
questions about many jobs at a time, and tells those who listen of what starts and ends.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from distributed import SchedulerPlugin

from anyjob_dask.keys import Mark, parse
from anyjob_dask.serialization import LARGE

KEEPER = "anyjob"
"""The client in whose name the scheduler keeps durable jobs."""
TOPIC = "anyjob"
"""Under which a client hears of what starts and ends."""
RESULT = "anyjob"
"""Under which name a worker tells what came of a job, where that is small."""
PAUSE, EACH, LONGEST = 0.005, 0.0001, 0.02
"""Seconds for which ends are collected, once one was told at once: at least, for each open job, at most.

Whoever has many open does not wait for the next one; and each message costs the time of three processes.
"""
REMEMBERED = 10_000
"""Jobs that have left Dask without a result, and are remembered with the reason."""


class JobSchedulerPlugin(SchedulerPlugin):
    """The plugin in the scheduler."""

    name = "anyjob-desk-1"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Take up the questions that clients ask, and what workers tell."""
        self.scheduler = scheduler
        self.keys: dict[str, str] = {}
        self.marks: dict[str, Mark] = {}
        self.started: dict[str, float] = {}
        self.gone: dict[str, tuple[str, str]] = {}
        self.results: dict[str, tuple[str, bytes]] = {}
        self.holders: dict[str, str] = {}
        self.listeners: dict[str, set[str]] = {}
        self.full: set[str] = set()
        self._arrivals: list[asyncio.Future[None]] = []
        self._news: list[str] = []
        self._telling = False
        scheduler.handlers.update(
            anyjob_hello=self.hello,
            anyjob_ask=self.ask,
            anyjob_release=self.release,
            anyjob_cancel=self.cancel,
        )
        scheduler.stream_handlers["anyjob_started"] = self.hear_started

    # --- what clients ask ---------------------------------------------------------------------

    async def hello(self) -> dict[str, Any]:
        """Say what there is: threads, resources and versions, by worker, and versions of the scheduler."""
        scheduler = self.scheduler
        workers = {
            address: {
                "threads": worker.nthreads,
                "resources": dict(worker.resources),
                "versions": _versions(worker.versions),
            }
            for address, worker in scheduler.workers.items()
        }
        own = {"python": platform.python_version(), "distributed": version("distributed")}
        return {"workers": workers, "versions": own}

    async def ask(self, job_ids: Sequence[str], client: str, patience: float = 0) -> dict[str, Any]:
        """Say of each job where it is, which key it has, the worker, and why, where it has no result.

        Args:
            job_ids: ours.
            client: who asks, and is told from now on what becomes of them.
            patience: seconds to wait for jobs that have not arrived yet.
        """
        await self._arrival(job_ids, patience)
        for job_id in job_ids:
            if job_id in self.keys:
                self.listeners.setdefault(job_id, set()).add(client)
        return {job_id: state for job_id in job_ids if (state := self._state(job_id)) is not None}

    async def _arrival(self, job_ids: Sequence[str], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not all(each in self.keys or each in self.gone for each in job_ids):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            # A future, since what waits for an event begins to do so a moment later only.
            arrival = asyncio.get_running_loop().create_future()
            self._arrivals.append(arrival)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(arrival, left)

    def _state(self, job_id: str) -> dict[str, Any] | None:
        if job_id in self.results:
            key, data = self.results[job_id]
            return {"state": "ended", "key": key, "result": data}
        task = self._task(job_id)
        if task is None or job_id in self.gone:
            if job_id not in self.gone:
                return None
            reason, message = self.gone[job_id]
            return {"state": "gone", "key": self.keys.get(job_id), "reason": reason, "message": message}
        worker = task.processing_on.address if task.processing_on else ""
        again = task.suspicious if self.marks[task.key].restartable else 0
        state = {"key": task.key, "worker": worker, "attempt": 1 + again}
        if task.state == "memory":
            return {**state, "state": "ended", **self._large(task)}
        if job_id in self.started and worker:
            return {**state, "state": "running"}
        return {**state, "state": "waiting", "message": self._waits_for(task)}

    def _is_there(self, address: str) -> bool:
        worker = self.scheduler.workers.get(address)
        return worker is not None and worker.status.name != "closed"

    def _task(self, job_id: str) -> Any:
        key = self.keys.get(job_id)
        return None if key is None else self.scheduler.tasks.get(key)

    def _large(self, task: Any) -> dict[str, Any]:
        if task.nbytes < LARGE or not task.who_has:
            return {"large": False}
        return {"large": True, "worker": next(iter(task.who_has)).address}

    def _waits_for(self, task: Any) -> str:
        wanted = task.resource_restrictions or {}
        if task.state != "no-worker":
            return ""
        if not self.scheduler.workers:
            return "no worker is there yet"
        asked = ", ".join(f"{name}={amount:g}" for name, amount in wanted.items())
        if not asked:
            return "no worker is there that may run it"
        return (
            f"no worker that is there now has {asked}: start one by `dask worker … --resources "
            f'"{" ".join(f"{name}={amount:g}" for name, amount in wanted.items())}"`'
        )

    async def release(self, job_ids: Sequence[str]) -> None:
        """Keep jobs no longer: what came of them is known."""
        self._let_go([key for each in job_ids if (key := self.keys.get(each)) is not None])
        for each in job_ids:
            self.gone.pop(each, None)
            self.results.pop(each, None)

    async def cancel(
        self, job_ids: Sequence[str], anyway: Sequence[str] = (), patience: float = 0
    ) -> dict[str, str]:
        """Take jobs that no worker has out of the queue.

        Args:
            job_ids: those to take out if no worker has them yet.
            anyway: those that a worker has, and has not begun.
            patience: seconds to wait for jobs that have not arrived yet.

        Returns by job: "" where that is done, else the address of the worker that has it; those that have
        ended, or are not known, are left out.
        """
        await self._arrival(job_ids, patience)
        found = {}
        for job_id in job_ids:
            task = self._task(job_id)
            if task is None or task.state in ("memory", "erred", "forgotten"):
                continue
            if task.processing_on is not None and job_id not in anyway:
                found[job_id] = task.processing_on.address
                continue
            self._remember(job_id, "cancelled", "")
            self._let_go([task.key])
            found[job_id] = ""
        return found

    def _let_go(self, keys: list[str]) -> None:
        """Have nobody want these tasks any more, so that the scheduler forgets them."""
        wanted: dict[str, list[str]] = {}
        for key in keys:
            task = self.scheduler.tasks.get(key)
            for client in (task.who_wants or ()) if task is not None else ():
                wanted.setdefault(client.client_key, []).append(key)
        for client, some in wanted.items():
            self.scheduler.client_releases_keys(keys=some, client=client)

    # --- what the scheduler and the workers tell --------------------------------------------------

    def update_graph(self, scheduler: Any, *, client: str, keys: Any, **kwargs: Any) -> None:
        """New tasks have come, and nothing was done about them yet."""
        keep: dict[str, list[str]] = {}
        for key in keys:
            mark = parse(key)
            if mark is None:
                continue
            self.keys[mark.job_id] = key
            self.marks[key] = mark
            self.listeners[mark.job_id] = {client}
            keep.setdefault(KEEPER if mark.durable else _keeper_for(client), []).append(key)
            if not mark.restartable:
                # The death of one worker is enough: by itself Dask tries it on three others.
                scheduler.tasks[key].suspicious = scheduler.allowed_failures
        for keeper, some in keep.items():
            scheduler.client_desires_keys(keys=some, client=keeper)
            # We tell the client what it wants to know, by fewer messages than Dask does.
            scheduler.client_releases_keys(keys=some, client=client)
        arrivals, self._arrivals = self._arrivals, []
        for arrival in arrivals:
            if not arrival.done():
                arrival.set_result(None)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """A client has gone, and with it what was kept for it alone."""
        keeper = _keeper_for(client)
        if keeper in scheduler.clients:
            scheduler.remove_client(keeper)

    def hear_started(self, job_ids: Sequence[str], worker: str = "", **kwargs: Any) -> None:
        """A worker has had these jobs running for a moment."""
        now = time.time()
        here = [each for each in job_ids if each in self.keys]
        self.started.update(dict.fromkeys(here, now))
        for client, some in self._by_listener(here).items():
            self._say(client, {"running": some, "worker": worker})

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """A task is in another state."""
        mark = self.marks.get(key)
        if mark is None:
            return
        job_id = mark.job_id
        if finish == "memory":
            data = (self.scheduler.tasks[key].metadata or {}).pop(RESULT, None)
            if data is not None:
                self.results[job_id] = key, data
            self.holders[job_id] = str(kwargs.get("worker") or "")
            if not mark.restartable:
                # A result is data from now on: Dask would make what is lost anew, by running it again.
                self.scheduler.tasks[key].run_spec = None
        elif finish == "erred":
            self._remember(job_id, *self._failure(key, kwargs))
        elif finish == "released":
            self._released(key, mark, start)
            return
        elif finish == "forgotten":
            del self.marks[key], self.keys[job_id]
            self.started.pop(job_id, None)
            holder = self.holders.pop(job_id, None)
            if holder is None or self._is_there(holder):  # those who wanted it have let go of it
                self.results.pop(job_id, None)
            elif job_id not in self.results:
                self._remember(job_id, "lost", "the worker that held its result died, and the result with it")
            if job_id not in self.gone:
                self.listeners.pop(job_id, None)
                return
        else:
            return
        self._tell(job_id)

    def _released(self, key: str, mark: Mark, start: str) -> None:
        """A task goes back: its worker has gone, or nobody wants it any more."""
        ran = self.started.pop(mark.job_id, None) is not None
        wanted = bool(self.scheduler.tasks[key].who_wants)
        if start == "processing" and ran and wanted and not mark.restartable:
            self._remember(
                mark.job_id,
                "node-failure",
                "its worker was retired while it ran; it is not marked restartable, so it is not run again",
            )
            self._tell(mark.job_id)
            asyncio.get_running_loop().call_soon(self._let_go, [key])

    def _failure(self, key: str, told: dict[str, Any]) -> tuple[str, str]:
        """Say why a task has failed: what our work raises is in its result, so that Dask has given it up."""
        text = told.get("exception_text")
        worker = str(told.get("worker") or "")
        if text:
            reason = "missing-module" if "ModuleNotFoundError" in text else "exception"
            trace = told.get("traceback_text") or ""
            return reason, f"the worker {worker} could not begin it: {text}\n{trace}".strip()
        if worker in self.full:
            return "memory", f"its worker {worker} was killed since it used more memory than it may"
        return "node-failure", f"its worker {worker} died while it had the job"

    def log_event(self, topic: Any, msg: Any) -> None:
        """A nanny has said why it ends its worker."""
        if topic == "worker-restart-memory" and isinstance(msg, dict) and msg.get("worker"):
            self.full.add(msg["worker"])

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        """A worker has gone, and what it had was accounted for."""
        self.full.discard(worker)

    def restart(self, scheduler: Any) -> None:
        """Somebody has had the scheduler forget all there was."""
        for mark in list(self.marks.values()):
            self._remember(mark.job_id, "lost", "the cluster was restarted")
            self._tell(mark.job_id)

    def _remember(self, job_id: str, reason: str, message: str) -> None:
        self.gone.setdefault(job_id, (reason, message))
        while len(self.gone) > REMEMBERED:
            del self.gone[next(iter(self.gone))]

    def _tell(self, job_id: str) -> None:
        """Tell of an end: of the first at once, of those that follow within a moment together."""
        self._news.append(job_id)
        if not self._telling:
            self._telling = True
            self._tell_now()
            self._tell_later()

    def _tell_now(self) -> None:
        news, self._news = self._news, []
        for client, some in self._by_listener(news).items():
            states = {job_id: state for job_id in some if (state := self._state(job_id)) is not None}
            self._say(client, {"ended": states})
        for job_id in news:
            if job_id not in self.keys:
                self.listeners.pop(job_id, None)

    def _by_listener(self, job_ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for job_id in job_ids:
            for client in self.listeners.get(job_id, ()):
                found.setdefault(client, []).append(job_id)
        return found

    def _say(self, client: str, what: dict[str, Any]) -> None:
        """Tell a client, and nobody else; nothing of it is kept."""
        if client in self.scheduler.client_comms:
            self.scheduler.client_send(client, {"op": "event", "topic": TOPIC, "event": (time.time(), what)})

    def _tell_on(self) -> None:
        if not self._news:
            self._telling = False
            return
        self._tell_now()
        self._tell_later()

    def _tell_later(self) -> None:
        still_open = len(self.keys) - len(self.holders)
        pause = min(max(PAUSE, EACH * still_open), LONGEST)
        asyncio.get_running_loop().call_later(pause, self._tell_on)


def _keeper_for(client: str) -> str:
    """In whose name the scheduler keeps jobs that are a client's, and end with it."""
    return f"{KEEPER}-{client}"


def _versions(versions: Any) -> dict[str, str]:
    """Of what a worker says of its environment, that which must be alike."""
    packages = dict((versions or {}).get("packages") or {})
    return {name: str(packages[name]) for name in ("python", "distributed") if packages.get(name)}

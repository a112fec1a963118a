"""The mode ``fast``: jobs are Ray tasks of this process, and end with it."""

from __future__ import annotations

import pickle
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

from anyjob import BackendUnavailableError, Observation, Order, Outcome, Ticket
from anyjob.sdk import Answer
from anyjob_ray import connection
from anyjob_ray.actors.job_events import JobEvents
from anyjob_ray.modes.mode import Mode, observation
from anyjob_ray.results import load_outcome
from anyjob_ray.tasks.object_refs import Disconnected, wait_for
from anyjob_ray.tasks.task import Task
from anyjob_ray.tasks.task_manager import TaskManager

POLL_TIMEOUT = 30.0
CHECK_VALID = 1.0
"""Seconds, after the cluster was seen to be there, in which it is given work without another look."""
CHECK_INTERVAL = 5.0
"""Seconds between two such looks while jobs are under way and nothing is heard."""
GATHER_PER_JOB, GATHER_MAX = 3e-5, 0.02
"""Seconds that results are gathered for, for each job that is under way; and at most."""
ACTOR_RETRIES, RETRY_INTERVAL = 20, 0.5
"""How often the event actor is asked again that is being started anew; and seconds between."""
CLOSE_TIMEOUT = 3.0
"""Seconds that `close` gives to jobs to clean up."""


class FastMode(Mode):
    """Submits tasks, and hears of their end from Ray itself; a small actor tells of those that run."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._results: SimpleQueue[tuple[str, Any] | None] = SimpleQueue()
        self._manager = TaskManager(
            lambda name, result: self._results.put((name, result)), self._announce_cancels
        )
        # What jobs wrote, or the location of one whose worker has died.
        self._written: dict[str, Sequence[Any]] = {}
        self._refs: dict[str, Any] = {}  # of large results that somebody holds a handle on
        self._closed = False
        self._last_check = time.monotonic()
        self._actor_name = f"anyjob-events-{secrets.token_hex(10)}"
        actor_class = self.ray.remote(
            num_cpus=0,
            name=self._actor_name,
            namespace=self.options.namespace,
            max_restarts=-1,
            max_concurrency=1000,
        )(JobEvents)
        self._event_actor = actor_class.remote()
        for name, run in (("results", self._take_results), ("events", self._poll_events)):
            threading.Thread(target=run, name=f"anyjob-ray-{name}", daemon=True).start()

    @property
    def sends_runtime_env(self) -> bool:
        """Whether the ``runtime_env`` goes with each task: not where the connection has it."""
        return not connection.is_ours()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit jobs, one task each."""
        if time.monotonic() - self._last_check > CHECK_VALID:
            connection.check_alive(self.ray, self.options, self.backend.name())
            self._last_check = time.monotonic()
        wanted, task_options, rejected = self.feasible(orders)
        yield from rejected
        launch = self.batched_launch(wanted, task_options)
        packer = self.packer(self._actor_name, wanted)
        jobs = [packer.pack(order) for order in wanted]  # all, before the first is submitted
        walltime = orders[0].resources.walltime
        taken = self._manager.submit(jobs, task_options, walltime, launch)
        yield from zip(wanted, taken, strict=True)

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Look into memory."""
        known = self._manager.tasks
        found = {ticket.job_id: known.get(ticket.job_id) for ticket in tickets}
        return {
            job_id: observation(task.state_in_words) for job_id, task in found.items() if task is not None
        }

    def refs(self, job_ids: Sequence[str]) -> dict[str, Any]:
        """Look into memory."""
        return {**self._manager.refs(job_ids), **{i: self._refs[i] for i in job_ids if i in self._refs}}

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Hand over what came of jobs, and keep nothing of them but what they wrote."""
        found = {}
        for ticket in tickets:
            task = self._manager.tasks.get(ticket.job_id)
            if task is not None and task.outcome is not None:
                del self._manager.tasks[ticket.job_id]
                found[ticket.job_id] = self._outcome(task, task.outcome)
        return found

    def _outcome(self, task: Task, blob: bytes) -> Outcome:
        outcome, written = load_outcome(blob, task.ref)
        if task.in_object_store:
            self._refs[task.job_id] = task.ref
            self.backend.when_forgotten(task.job_id, lambda: self._refs.pop(task.job_id, None))
        kept = task.location if task.crashed else written
        if kept is not None and any(kept):
            self._written[task.job_id] = kept
            self.backend.when_forgotten(task.job_id, lambda: self._written.pop(task.job_id, None))
        return outcome

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        """Have Ray cancel tasks."""
        return self._manager.cancel([ticket.job_id for ticket in tickets])

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read from memory, or while the job runs from the log files of its worker."""
        task = self._manager.tasks.get(ticket.job_id)
        if task is not None and task.is_open:
            return b"" if task.location is None else self.read_log(task.location, stream, offset)
        kept = self._written.get(ticket.job_id, (b"", b""))
        if len(kept) > 2:  # its worker has died: what it wrote is where it ran
            return self.read_log(kept, stream, offset)
        written: bytes = kept[0 if stream == "stdout" else 1]
        return written[offset:]

    def close(self) -> None:
        """Cancel what has not ended; disconnect, if this backend has connected."""
        left = [job_id for job_id, task in self._manager.tasks.items() if task.is_open]
        try:
            if not self.ray.is_initialized():
                raise Disconnected
            self._manager.cancel(left)
            deadline = time.monotonic() + CLOSE_TIMEOUT
            while time.monotonic() < deadline and any(self._is_open(job_id) for job_id in left):
                time.sleep(0.01)
            self._closed = True
            self.ray.kill(self._event_actor)
        except Exception:  # the cluster is gone, and all of it
            self._closed = True
        self._results.put(None)
        super().close()
        connection.disconnect()

    def _is_open(self, job_id: str) -> bool:
        task = self._manager.tasks.get(job_id)
        return task is not None and task.is_open

    # --- results, by Ray or by datagram -----------------------------------------------------------

    def on_notification(self, job_id: str, outcome: bytes) -> None:
        """Take it as if Ray had given it, which then comes too late."""
        self._results.put((job_id, outcome))

    def _take_results(self) -> None:
        """Settle jobs that have ended, many at a time, in a thread that may be kept."""
        last = 0.0
        going = True
        while going:
            results = [self._results.get()]
            pause = min(GATHER_MAX, GATHER_PER_JOB * len(self._manager.tasks))
            if time.monotonic() - last < pause:  # there are many: lest each wakes this thread
                time.sleep(pause)
            while not self._results.empty():
                results.append(self._results.get())
            last = time.monotonic()
            going = None not in results
            ended = [
                task
                for result in results
                if result is not None
                for task in self._manager.take_result(*result)
            ]
            del results  # nothing large is held while we wait
            self._notify([task.job_id for task in ended])
            del ended

    # --- events, by the event actor ---------------------------------------------------------------

    def _poll_events(self) -> None:
        since = failures = 0
        while not self._closed:
            try:
                if not self.ray.is_initialized():
                    raise Disconnected("the program has called ray.shutdown()")
                ref = self._event_actor.poll.remote(since, POLL_TIMEOUT)
                since, events, complete = wait_for(self.ray, ref, self._goes_on, 2 * POLL_TIMEOUT)
                if not complete:  # it was started anew, and knows nothing
                    self._event_actor.announce_cancels.remote(self._manager.cancelled_jobs())
            except Exception as error:  # Ray's, which has no class for all of them: it is told by each job
                failures += 1
                if self._closed:
                    return
                if not _is_of_actor(error) or failures > ACTOR_RETRIES:
                    self._end_all_as_lost(error)
                    return
                time.sleep(RETRY_INTERVAL)
                continue
            failures = 0
            changed = []
            for name, what, about in events:
                if what == "KILLING":
                    self._manager.killing_job(name, about)
                elif what == "BATCH":
                    changed += [task.job_id for task in self._manager.batch_progressed(name, *about)]
                elif self._manager.job_started(name, about):
                    changed.append(name)
            self._notify(changed)

    def _announce_cancels(self, job_ids: list[str]) -> None:
        """Have the event actor know of jobs that are to be cancelled, before their workers ask it."""
        try:
            ref = self._event_actor.announce_cancels.remote(job_ids)
            wait_for(self.ray, ref, lambda: not self._closed, self.options.timeout)
        except Exception as error:
            raise BackendUnavailableError(
                f"backend {self.backend.name()!r}: the Ray cluster takes no cancel of {len(job_ids)} jobs: "
                f"{error}"
            ) from error

    def _goes_on(self) -> bool:
        """Whether it makes sense to go on waiting: of a cluster that is gone Ray tells nothing."""
        now = time.monotonic()
        if self._closed or now - self._last_check < CHECK_INTERVAL or not self._manager.tasks:
            return not self._closed
        try:
            connection.check_alive(self.ray, self.options, self.backend.name())
        except BackendUnavailableError:
            return bool(now - self._last_check < self.options.timeout)
        self._last_check = now
        return True

    def _notify(self, job_ids: list[str]) -> None:
        try:
            self.backend.notify(job_ids)
        except Exception as error:  # of a hook, where plugins are strict: this thread lives on
            if self._closed:
                return  # nobody asks about jobs any more
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))

    def _end_all_as_lost(self, error: Exception) -> None:
        """The cluster is gone, or the program has disconnected: so are the jobs."""
        message = f"the connection to the Ray cluster was lost, and the job with it: {error}"
        outcome = {"status": "ERROR", "reason": "lost", "message": message, "finished": time.time()}
        lost = pickle.dumps(outcome, 5)
        for job_id, task in list(self._manager.tasks.items()):
            if task.is_open:
                self._results.put((job_id, lost))


def _is_of_actor(error: Exception) -> bool:
    return any(each.__name__ == "RayActorError" for each in type(error).__mro__)

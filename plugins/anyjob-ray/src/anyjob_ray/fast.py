"""The mode ``fast``: jobs are Ray tasks of this process, and end with it."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

from anyjob.errors import BackendUnavailableError
from anyjob.ids import new_id
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.specs import Outcome
from anyjob_ray import cluster
from anyjob_ray.actors import RunningJobs
from anyjob_ray.mode import STATES, Mode
from anyjob_ray.payload import read
from anyjob_ray.replies import Disconnected, answer
from anyjob_ray.tasks import Task, Tasks

LISTEN = 30.0
FRESH = 1.0
"""Seconds, after the cluster was seen to be there, in which it is given work without another look."""
CHECKED = 5.0
"""Seconds between two such looks while jobs are under way and nothing is heard."""
GATHER, GATHERED = 3e-5, 0.02
"""Seconds that news are gathered for, for each job that is under way; and at most."""
LINGER = 3.0
"""Seconds that `close` gives to jobs to clean up."""


class Fast(Mode):
    """Submits tasks, and hears of their end from Ray itself; a small actor tells of those that run."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._news: SimpleQueue[tuple[str, Any] | None] = SimpleQueue()
        self._tasks = Tasks(lambda name, result: self._news.put((name, result)), self._announce)
        # What jobs wrote, or the place of one whose worker has died.
        self._written: dict[str, tuple[Any, ...]] = {}
        self._closed = False
        self._checked = time.monotonic()
        self._name = f"anyjob-board-{new_id()}"
        board = self.ray.remote(
            num_cpus=0,
            name=self._name,
            namespace=self.options.namespace,
            max_restarts=-1,
            max_concurrency=1000,
        )(RunningJobs)
        self._board = board.remote()
        for name, run in (("news", self._take_news), ("board", self._follow_board)):
            threading.Thread(target=run, name=f"anyjob-ray-{name}", daemon=True).start()

    @property
    def per_task(self) -> bool:
        """Whether the ``runtime_env`` goes with each task: not where the connection has it."""
        return not cluster.is_ours()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit jobs, one task each."""
        if time.monotonic() - self._checked > FRESH:
            cluster.check(self.ray, self.options, self.backend.name())
            self._checked = time.monotonic()
        wanted, plan, refused = self.sorted_out(orders)
        yield from refused
        launch = self.together(wanted, plan)
        packer = self.packer(self._name, wanted)
        works = [packer.pack(order) for order in wanted]  # all, before the first is submitted
        walltime = orders[0].resources.walltime
        taken = self._tasks.submit(works, plan, walltime, launch)
        yield from zip(wanted, taken, strict=True)

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Look into memory."""
        known = self._tasks.known
        found = {ticket.job_id: known.get(ticket.job_id) for ticket in tickets}
        return {job_id: STATES[task.state] for job_id, task in found.items() if task is not None}

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Hand over what came of jobs, and keep nothing of them but what they wrote."""
        found = {}
        for ticket in tickets:
            task = self._tasks.known.get(ticket.job_id)
            if task is not None and task.said is not None:
                del self._tasks.known[ticket.job_id]
                found[ticket.job_id] = self._outcome(task)
        return found

    def _outcome(self, task: Task) -> Outcome:
        assert task.said is not None
        outcome, written = read(task.said, task.ref)
        kept = task.place if task.crashed else written
        if kept is not None and any(kept):
            self._written[task.job_id] = kept
            self.backend.when_forgotten(task.job_id, lambda: self._written.pop(task.job_id, None))
        return outcome

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        """Have Ray cancel tasks."""
        return self._tasks.cancel([ticket.job_id for ticket in tickets])

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read from memory, or while the job runs from the files of its worker."""
        task = self._tasks.known.get(ticket.job_id)
        if task is not None and task.said is None:
            return b"" if task.place is None else self.read(task.place, stream, offset)
        kept = self._written.get(ticket.job_id, (b"", b""))
        if len(kept) > 2:  # its worker has died: what it wrote is where it ran
            return self.read(kept, stream, offset)
        written: bytes = kept[0 if stream == "stdout" else 1]
        return written[offset:]

    def close(self) -> None:
        """Cancel what has not ended; disconnect, if this backend has connected."""
        left = [job_id for job_id, task in self._tasks.known.items() if task.said is None]
        try:
            if not self.ray.is_initialized():
                raise Disconnected
            self._tasks.cancel(left)
            deadline = time.monotonic() + LINGER
            while time.monotonic() < deadline and any(self._is_open(job_id) for job_id in left):
                time.sleep(0.01)
            self._closed = True
            self.ray.kill(self._board)
        except Exception:  # the cluster is gone, and all of it
            self._closed = True
        self._news.put(None)
        super().close()
        cluster.release()

    def _is_open(self, job_id: str) -> bool:
        task = self._tasks.known.get(job_id)
        return task is not None and task.said is None

    # --- what is heard --------------------------------------------------------------------------

    def hear(self, job_id: str, said: bytes) -> None:
        """Take it as if Ray had said it, which then comes too late."""
        self._news.put((job_id, said))

    def _take_news(self) -> None:
        """Settle jobs that have ended, many at a time, in a thread that may be kept."""
        settled = 0.0
        going = True
        while going:
            ended = [self._news.get()]
            pause = min(GATHERED, GATHER * len(self._tasks.known))
            if time.monotonic() - settled < pause:  # there are many: lest each wakes this thread
                time.sleep(pause)
            while not self._news.empty():
                ended.append(self._news.get())
            settled = time.monotonic()
            going = None not in ended
            tasks = [task for news in ended if news is not None for task in self._tasks.ended(*news)]
            del ended  # nothing large is held while we wait
            self._notify([task.job_id for task in tasks])
            del tasks

    def _follow_board(self) -> None:
        since = failures = 0
        while not self._closed:
            try:
                if not self.ray.is_initialized():
                    raise Disconnected("the program has called ray.shutdown()")
                asked = self._board.changes.remote(since, LISTEN)
                since, events, whole = answer(self.ray, asked, self._is_there, 2 * LISTEN)
                if not whole:  # it was started anew, and knows nothing
                    self._board.cancelling.remote(self._tasks.cancelled())
            except Exception as error:
                failures += 1
                if self._closed:
                    return
                if not _is_of_actor(error) or failures > 20:
                    self._lose(error)
                    return
                time.sleep(0.5)
                continue
            failures = 0
            news = []
            for job_id, what, about in events:
                if what == "DOOMED":
                    self._tasks.doomed(job_id, about)
                elif what == "PART":
                    news += [task.job_id for task in self._tasks.part(job_id, *about)]
                elif self._tasks.began(job_id, about):
                    news.append(job_id)
            self._notify(news)

    def _announce(self, job_ids: list[str]) -> None:
        """Have the board know of jobs that are to be cancelled, before their workers ask it."""
        try:
            told = self._board.cancelling.remote(job_ids)
            answer(self.ray, told, lambda: not self._closed, self.options.patience)
        except Exception as error:
            raise BackendUnavailableError(
                f"backend {self.backend.name()!r}: the Ray cluster takes no cancel of {len(job_ids)} jobs: "
                f"{error}"
            ) from error

    def _is_there(self) -> bool:
        """Whether it makes sense to go on listening: of a cluster that is gone Ray tells nothing."""
        now = time.monotonic()
        if self._closed or now - self._checked < CHECKED or not self._tasks.known:
            return not self._closed
        try:
            cluster.check(self.ray, self.options, self.backend.name())
        except BackendUnavailableError:
            return bool(now - self._checked < self.options.patience)
        self._checked = now
        return True

    def _notify(self, job_ids: list[str]) -> None:
        try:
            self.backend.notify(job_ids)
        except Exception as error:  # of a hook, where plugins are strict: this thread lives on
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))

    def _lose(self, error: Exception) -> None:
        """The cluster is gone, or the program has disconnected: so are the jobs."""
        message = f"the connection to the Ray cluster was lost, and the job with it: {error}"
        said = {"status": "ERROR", "reason": "lost", "message": message, "finished": time.time()}
        lost = pickle.dumps(said, 5)
        for job_id, task in list(self._tasks.known.items()):
            if task.said is None:
                self._news.put((job_id, lost))


def _is_of_actor(error: Exception) -> bool:
    return any(each.__name__ == "RayActorError" for each in type(error).__mro__)

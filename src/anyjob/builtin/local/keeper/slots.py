"""The slots that each queue has with the keeper, and the jobs that wait there for one.

The supervisor decides what runs, and sends some more than there are slots for: so the next job starts
as soon as one has ended, without asking. These have not begun: nothing is written of them, and they
are forgotten when the supervisor is gone, since the next one sends them anew.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.builtin.local.keeper.job import Job, Key


class _QueueSlots:
    def __init__(self) -> None:
        self.taken: dict[Key, int] = {}
        self.lent: dict[Key, int] = {}
        self.waiting: deque[Job] = deque()

    def has_room(self, job: Job) -> bool:
        taken = sum(self.taken.values())
        return not taken or taken + job.slots <= job.capacity

    def admit(self) -> list[Job]:
        """Give slots to those that wait, as far as there are; return these."""
        admitted = []
        while self.waiting and self.has_room(self.waiting[0]):
            admitted.append(self.waiting.popleft())
            self.taken[admitted[-1].key] = admitted[-1].slots
        return admitted


class Slots:
    """Which jobs have slots, and which wait; first come, first served."""

    def __init__(self) -> None:
        self._queues: dict[int, _QueueSlots] = {}

    def acquire(self, job: Job) -> bool:
        """Give a job its slots; or have it wait, and return False."""
        queue = self._queues.setdefault(job.queue, _QueueSlots())
        if job.capacity and (queue.waiting or not queue.has_room(job)):
            queue.waiting.append(job)
            return False
        queue.taken[job.key] = job.slots
        return True

    def is_waiting(self, job: Job) -> bool:
        """Tell whether a job waits."""
        queue = self._queues.get(job.queue)
        return queue is not None and job in queue.waiting

    def waiting_behind(self, job: Job) -> int:
        """Return how many wait for slots of the queue that a job is of."""
        queue = self._queues.get(job.queue)
        return 0 if queue is None else len(queue.waiting)

    def next_after(self, job: Job) -> Job | None:
        """Return who is the next to have slots, if that can have those of a job as they are."""
        queue = self._queues.get(job.queue)
        if queue is None or not queue.waiting or job.key not in queue.taken:
            return None
        following = queue.waiting[0]
        fits = sum(queue.taken.values()) <= following.capacity and following.slots == job.slots
        return following if fits else None

    def promise(self, job: Job) -> None:
        """The one that is the next waits no longer: it will have the slots of another one."""
        queue = self._queues[job.queue]
        assert queue.waiting[0] is job
        queue.waiting.popleft()

    def hand_over(self, job: Job, following: Job) -> None:
        """One that was promised the slots of a job has them now."""
        taken = self._queues[job.queue].taken
        taken[following.key] = taken.pop(job.key)

    def wait_again(self, jobs: list[Job]) -> None:
        """Those that were promised slots wait for some again, before all others."""
        for job in reversed(jobs):
            self._queues.setdefault(job.queue, _QueueSlots()).waiting.appendleft(job)

    def admit(self, number: int) -> list[Job]:
        """Return who of a queue has slots now that there are some."""
        queue = self._queues.get(number)
        return [] if queue is None else queue.admit()

    def release(self, job: Job) -> list[Job]:
        """Take back the slots of a job, or its place among those that wait; return who has slots now."""
        queue = self._queues[job.queue]
        if queue.taken.pop(job.key, None) is None and queue.lent.pop(job.key, None) is None:
            queue.waiting.remove(job)
        admitted = queue.admit()
        if not queue.taken and not queue.lent and not queue.waiting:
            del self._queues[job.queue]
        return admitted

    def lend(self, job: Job) -> list[Job]:
        """Let others have the slots of a job that waits for them; return who has slots now."""
        queue = self._queues[job.queue]
        if job.key in queue.taken:
            queue.lent[job.key] = queue.taken.pop(job.key)
        return queue.admit()

    def take_back(self, job: Job) -> None:
        """Give a job the slots again that were lent: nobody else gets any until enough are free."""
        queue = self._queues[job.queue]
        if job.key in queue.lent:
            queue.taken[job.key] = queue.lent.pop(job.key)

    def take_back_all(self) -> None:
        """Give all jobs the slots again that were lent."""
        for queue in self._queues.values():
            queue.taken.update(queue.lent)
            queue.lent.clear()

    def drop_waiting(self) -> list[Job]:
        """Forget those that wait, and return them."""
        dropped = [job for queue in self._queues.values() for job in queue.waiting]
        for queue in self._queues.values():
            queue.waiting.clear()
        return dropped

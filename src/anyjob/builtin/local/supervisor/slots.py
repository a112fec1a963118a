"""The slots that each queue has with the keeper, and the jobs that wait there for one.

The supervisor decides what runs, and sends some more than there are slots for: so the next job starts
as soon as one has ended, without asking. These have not begun: nothing is written of them, and they
are forgotten when the supervisor is gone, since the next one sends them anew.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.builtin.local.keeper.jobs import Job


class _QueueSlots:
    def __init__(self) -> None:
        self.inside: dict[tuple[str, int], int] = {}
        self.waiting: deque[Job] = deque()

    def has_place(self, job: Job) -> bool:
        taken = sum(self.inside.values())
        return not taken or taken + job.slots <= job.room


class KeeperSlots:
    """Which jobs have slots, and which wait; first come, first served."""

    def __init__(self) -> None:
        self._rooms: dict[int, _QueueSlots] = {}

    def enter(self, job: Job) -> bool:
        """Give a job its slots; or have it wait, and return False."""
        room = self._rooms.setdefault(job.queue, _QueueSlots())
        if job.room and (room.waiting or not room.has_place(job)):
            room.waiting.append(job)
            return False
        room.inside[job.key] = job.slots
        return True

    def holds(self, job: Job) -> bool:
        """Tell whether a job waits."""
        room = self._rooms.get(job.queue)
        return room is not None and job in room.waiting

    def leave(self, job: Job) -> list[Job]:
        """Take back the slots of a job, or its place among those that wait; return who has slots now."""
        room = self._rooms[job.queue]
        if room.inside.pop(job.key, None) is None:
            room.waiting.remove(job)
        entered = []
        while room.waiting and room.has_place(room.waiting[0]):
            entered.append(room.waiting.popleft())
            room.inside[entered[-1].key] = entered[-1].slots
        if not room.inside and not room.waiting:
            del self._rooms[job.queue]
        return entered

    def clear(self) -> list[Job]:
        """Forget those that wait, and return them."""
        gone = [job for room in self._rooms.values() for job in room.waiting]
        for room in self._rooms.values():
            room.waiting.clear()
        return gone

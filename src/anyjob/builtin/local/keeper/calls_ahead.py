"""Which calls a worker is given beside the one that it makes, and what becomes of those taken back."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.keeper.launch.zygote_pool import ZygotePool
    from anyjob.builtin.local.keeper.slots import Slots


class CallsAhead:
    """Calls that wait for slots, and have those of the one before them as soon as that has ended.

    Args:
        loop: the keeper's event loop.
        slots: who has slots, and who waits.
        zygotes: which calls may share a process.
        launch: called with a job that has slots now.
    """

    def __init__(
        self, loop: EventLoop, slots: Slots, zygotes: ZygotePool, launch: Callable[[Job], object]
    ) -> None:
        self._loop = loop
        self._slots = slots
        self._zygotes = zygotes
        self._launch = launch

    def after(self, job: Job, count: int) -> list[Job]:
        """Return calls that its worker is to make after one: as many, and no more than its share."""
        assert job.zygote is not None
        count = min(count, self._slots.waiting_behind(job) // len(job.zygote.workers))
        calls: list[Job] = []
        while len(calls) < count:
            following = self._slots.next_after(job)
            if following is None or not self._zygotes.go_together(following, job):
                break
            self._slots.promise(following)
            self._zygotes.follow(following, job)
            calls.append(following)
        return calls

    def taken_back(self, jobs: list[Job]) -> None:
        """These have not begun, and are to wait again."""
        for job in jobs:
            self._zygotes.take_back(job)
        self._slots.wait_again(jobs)
        for number in {job.queue for job in jobs}:
            self._loop.call_later(0, self._admit, number)

    def _admit(self, number: int) -> None:
        for following in self._slots.admit(number):
            self._launch(following)

"""The ends of jobs, on their way to the log and to the supervisor: those of one turn go together."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.log.job_log import JobLog
    from anyjob.builtin.local.keeper.supervisor_link import SupervisorLink


class Ends:
    """What is to be written of ends, and told once it is written.

    Args:
        loop: the keeper's event loop.
        log: where they are written.
        link: where they are told.
    """

    def __init__(self, loop: EventLoop, log: JobLog, link: SupervisorLink) -> None:
        self._loop = loop
        self._log = log
        self._link = link
        self._untold: list[tuple[dict[str, Any], bool]] = []

    def add(self, event: dict[str, Any], others_wait: bool) -> None:
        """A job has ended, as the message says.

        While others wait here, the supervisor has none to send; that it hears of many ends at once spares it,
        and all whom it tells, most of the work.
        """
        if not self._untold:
            self._loop.call_later(0, self.flush)
        self._untold.append((event, others_wait))
        self._log.gather(event)

    def flush(self) -> None:
        """Write what has ended, and then tell it."""
        if not self._untold:
            return
        untold, self._untold = self._untold, []
        self._log.write_gathered()
        offset = self._log.position["offset"]
        for event, others_wait in untold:
            tell = self._link.tell_soon if others_wait else self._link.tell
            tell({"offset": offset, **event})

    def freed(self, event: dict[str, Any]) -> None:
        """Nothing is left of a job that has ended, as the message says: its GPUs are free."""
        self.flush()
        self._log.freed(event)
        self._link.tell(event)

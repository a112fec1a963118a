"""A clock whose time passes while somebody waits for it, and not else."""

from __future__ import annotations


class ManualClock:
    """A time of its own, and an event that is never set: time passes while somebody waits for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float | None] = []

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def set(self) -> None:
        pass

    def clear(self) -> None:
        pass

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self.now += timeout or 0.0
        return False

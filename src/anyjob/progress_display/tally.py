"""How many jobs have ended, how fast, and how long the rest will take: pure figures, and their words."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from anyjob.status import JobStatus
from anyjob.text.amounts import span

RECENT = 200
"""Ends that the rate is made of: it follows when jobs become faster or slower."""
FEWEST = 3
"""Ends from which on a rate, and so a time to go, is more than a guess."""


class Tally:
    """Counts jobs as they end.

    Args:
        total: how many there are.
        now: when it begins, in seconds of any clock that never goes back.
    """

    def __init__(self, total: int, now: float) -> None:
        self.total = total
        self.began = now
        self.running: int | None = None
        """How many run, where that is known."""
        self._ended: Counter[JobStatus] = Counter()
        self._recent: deque[tuple[float, int]] = deque([(now, 0)], maxlen=RECENT)

    def end(self, status: JobStatus, now: float, *, before: bool = False) -> None:
        """One has ended; ``before``: it had ended when this began, and tells nothing of how fast it goes."""
        self._ended[status] += 1
        if before:
            self._recent.clear()
        self._recent.append((now, self.ended))

    @property
    def ended(self) -> int:
        """How many have ended, in whichever way."""
        return self._ended.total()

    @property
    def failed(self) -> int:
        """How many are ERROR."""
        return self._ended[JobStatus.ERROR]

    @property
    def cancelled(self) -> int:
        """How many were cancelled."""
        return self._ended[JobStatus.CANCELLED]

    @property
    def queued(self) -> int | None:
        """How many have not started, where that is known."""
        return None if self.running is None else max(0, self.total - self.ended - self.running)

    def rate(self, now: float) -> float | None:
        """Return how many end in a second, of late; None as long as too few have."""
        since, before = self._recent[0]
        count = self.ended - before
        return count / (now - since) if count >= min(FEWEST, self.total) and now > since else None

    def to_go(self, now: float) -> float | None:
        """Return in how many seconds all will have ended, if it goes on so; None where nobody can tell."""
        rate = self.rate(now)
        return (self.total - self.ended) / rate if rate and self.ended < self.total else None

    def words(self, now: float) -> Iterator[str]:
        """Yield what is to be said beside how many of how many have ended."""
        done = self._ended[JobStatus.DONE]
        counts = (
            ("done", done if self.failed or self.cancelled else 0),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
            ("running", self.running or 0),
            ("queued", self.queued or 0),
        )
        yield from (f"{count} {what}" for what, count in counts if count)
        rate, to_go = self.rate(now), self.to_go(now)
        if rate is not None:
            yield (
                f"{_figure(rate)}/s"
                if rate >= 0.1
                else f"{rate * 60:.2g}/min"
                if rate >= 1 / 600
                else f"{_figure(rate * 3600)}/h"
            )
        if to_go is not None:
            yield f"{span(to_go)} to go"
        elif self.ended >= self.total:
            yield f"in {span(now - self.began)}"


def _figure(value: float) -> str:
    """Return a number of two figures, or a whole one, without an exponent."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"

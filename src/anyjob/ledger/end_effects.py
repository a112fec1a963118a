"""The effects of the end of jobs, on others and on themselves: what whoever wrote it has to see to."""

from typing import NamedTuple


class NextAttempt(NamedTuple):
    """A job goes again: in so many seconds, or at once."""

    job_id: str
    bulk: int
    backend: int
    attempt: int
    wait: float


class EndEffects(NamedTuple):
    """What the end of jobs meant for those behind them."""

    ended: list[tuple[str, int]] = []
    """Those that cannot start any more, and have ended by that: id and bulk."""
    released: list[tuple[str, int]] = []
    """Those that may start now: id and backend."""
    again: list[NextAttempt] = []
    """Those that have not ended: an attempt has, and there is another."""
    stale: list[str] = []
    """Those of which an earlier attempt was meant, whose end was known."""


NOTHING = EndEffects()

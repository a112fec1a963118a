"""How many jobs the keeper has ahead: few where they take long, more the faster they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob.builtin.local.supervisor.scheduling import prefetch as lookahead
from anyjob.builtin.local.supervisor.scheduling.prefetch import LEAST, MOST, WINDOW, Prefetch


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@given(st.integers(1, 64), st.lists(st.floats(0, WINDOW * 2), max_size=400))
def test_as_many_as_ended_within_a_moment_and_no_fewer_than_few(slots: int, pauses: list[float]) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookahead, "time", clock)
        ahead = Prefetch(slots)
        ends = []
        for pause in pauses:
            clock.now += pause
            ahead.job_ended()
            ends.append(clock.now)
            lately = sum(end >= clock.now - WINDOW for end in ends)
            assert ahead.count == max(min(slots, LEAST), min(lately, MOST))
        clock.now += WINDOW * 1.01
        assert ahead.count == min(slots, LEAST)

"""The example that runs one sweep on whichever backend one word names, here on Ray."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.engine("ray")
def test_the_sweep_runs_on_ray_by_one_word(run_anywhere: Callable[[str], None]) -> None:
    run_anywhere("ray")

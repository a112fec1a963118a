"""The example that runs one sweep on whichever backend one word names, here on Slurm."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.engine("slurm")
def test_the_sweep_runs_on_slurm_by_one_word(cluster: None, run_anywhere: Callable[[str], None]) -> None:
    run_anywhere("slurm")

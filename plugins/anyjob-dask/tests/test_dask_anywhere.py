"""The example that runs one sweep on whichever backend one word names."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("word", ["laptop", "dask"])
def test_the_sweep_runs_where_one_word_says(word: str, run_anywhere: Callable[[str], None]) -> None:
    run_anywhere(word)

"""What tells in a long run that a process leaks: see `soak_load`."""

from __future__ import annotations

import os

from soak_load import GROWTH, MORE, Figures, Sampler, figures, grown


def test_what_grows_is_told_and_what_was_so_at_the_beginning_is_not() -> None:
    small, large = Figures(20.0, 10, 3), Figures(21.0 + GROWTH, 11 + MORE, 4 + MORE)
    few, many = {"keeper": small}, {"keeper": large}
    assert grown([many, few, many, many]) == []
    assert grown([few, few, few, many]) == []  # for a moment
    assert grown([few, few, many]) == []  # it is too early to tell
    assert grown([few, few, many, many]) == [
        "keeper has 29 memory, and had 20",
        "keeper has 15 files, and had 10",
        "keeper has 8 threads, and had 3",
    ]
    assert grown([few, few, few, {"client": large}]) == []


def test_what_a_process_has_is_read_and_told() -> None:
    mine = figures(os.getpid())
    assert mine is not None
    assert mine.memory > 1
    assert mine.files > 2
    assert mine.threads >= 1
    assert figures(2**22 + 1) is None
    sampler = Sampler(dict, 10, lambda: 0)
    sampler.lines.append((5, {"client": Figures(20.25, 10, 3), "keeper": Figures(1.0, 2, 1)}))
    assert sampler.table().splitlines()[-1] == "| 5 | 20.2 MiB, 10, 3 | – | 1.0 MiB, 2, 1 |"

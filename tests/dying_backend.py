"""A backend whose releaser dies where a test wants it to: ``die-WHERE`` in its engine's directory says so.

It is imported by the releaser, in a process of its own, and by the tests; only the former dies.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from right_backend import RightBackend

from anyjob.ledger.releasing.releases import Releases
from anyjob.orders import Answer, Order

STEPS = ("claimed", "launching", "launched", "noted", "handed-over")
"""Where a releaser may be killed while it hands a job over, in the order of what it does."""
_directories: list[Path] = []


def die_at(step: str) -> None:
    """End this process as by ``kill -9``, if it is a releaser that is to die here: once."""
    program = getattr(sys.modules["__main__"], "main", None)
    if getattr(program, "__module__", "") != "anyjob.releaser.main":  # a test may import that, too
        return
    for directory in _directories:
        try:
            (directory / f"die-{step}").unlink()
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)


class DyingBackend(RightBackend):
    """Type ``dying``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _directories.append(self.options.directory)
        die_at("claimed")

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        die_at("claimed")
        self.engine.check()
        die_at("launching")
        for order, answer in super().launch(orders):
            die_at("launched")
            yield order, answer


_handed_over = Releases.handed_over


def handed_over(self: Releases, job_ids: Sequence[str]) -> list[str]:
    die_at("noted")
    cancelled = _handed_over(self, job_ids)
    die_at("handed-over")
    return cancelled


Releases.handed_over = handed_over  # type: ignore[method-assign]

"""Calls that are told that their walltime is near: in a module that is quickly imported."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import anyjob
from anyjob import Call


def noting(path: str) -> str:
    try:
        for _ in range(600):
            time.sleep(0.1)
    except anyjob.Preempted:
        Path(path).write_text("told")
        raise
    return "never"


class Counter:
    """Counts, until it is told; what it has counted goes on."""

    def __init__(self, counted: int = 0) -> None:
        self.counted = counted

    def __call__(self, attempts: int) -> tuple[int, int]:
        while anyjob.attempt() < attempts:
            self.counted += 1
            time.sleep(0.01)
        return self.counted, anyjob.attempt()

    def checkpoint(self, attempts: int) -> Call:
        return Call(Counter(self.counted), (attempts,))


class Forgetful(Counter):
    def checkpoint(self, attempts: int) -> Any:
        raise ValueError("there is nothing to go on with")


class RankCounter(Counter):
    """What counts in one of several tasks; that of rank 1 has ended when the others are told."""

    def __call__(self, attempts: int) -> tuple[int, int]:
        if os.environ["ANYJOB_RANK"] == "1":
            return -1, anyjob.attempt()
        return super().__call__(attempts)

    def checkpoint(self, attempts: int) -> Call:
        return Call(RankCounter(self.counted + 1_000), (attempts,))

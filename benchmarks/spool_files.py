"""What it costs the processor to give each of many jobs a directory with two files, or one that is moved on.

Usage: python benchmarks/spool_files.py [directory]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable

COUNT = 3000


def measure(what: str, act: Callable[[int], object]) -> None:
    before = time.process_time()
    for number in range(COUNT):
        act(number)
    print(f"{what:40} {(time.process_time() - before) / COUNT * 1e6:6.1f} us of a processor")


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as root:
        for number in range(256):
            os.mkdir(f"{root}/{number:02x}")
        moved = [f"{root}/moved"]

        def fill(directory: str) -> None:
            for name in ("stdout", "stderr"):
                os.close(os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))

        def move(number: int) -> None:
            following = f"{root}/{number % 256:02x}/m{number}"
            os.rename(moved[0], following)
            moved[0] = following

        os.mkdir(moved[0])
        fill(moved[0])
        measure("a directory", lambda number: os.mkdir(f"{root}/{number % 256:02x}/{number}", 0o700))
        measure("two files in it", lambda number: fill(f"{root}/{number % 256:02x}/{number}"))
        measure("to move one with its files", move)


if __name__ == "__main__":
    main()

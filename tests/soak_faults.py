"""What befalls a machine beside kills, for `kill_harness`: processes stop, the disk is full, the clock jumps.

Each befalls it for moments, again and again, and is over when it is left.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

JUMPS = "jumps"
"""The file that holds how many seconds the clock is wrong by."""
CLOCK = """
import struct, time
def _jumping(real=time.time, path={path!r}):
    with open(path, "rb") as stream:
        return real() + struct.unpack("d", stream.read(8))[0]
time.time = _jumping
"""
DISK = 64 << 20
"""Bytes of the disk that gets full."""


class Faults:
    """Has faults happen at random moments while it is entered.

    Args:
        seed: of what happens when.
        victims: gives the pids of who may be stopped, by what they are.
        full: a directory on a disk of its own that may be filled; None for none.
        jumps: the file of `clock_that_jumps`; None where the clock is right.
    """

    def __init__(
        self,
        seed: int,
        victims: Callable[[], dict[str, int | None]],
        full: Path | None = None,
        jumps: Path | None = None,
    ) -> None:
        self._chance = random.Random(seed)
        self._victims = victims
        self._full = full
        self._jumps = jumps
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(each,)) for each in self._kinds()]
        self.counts: collections.Counter[str] = collections.Counter()

    def _kinds(self) -> list[Callable[[], None]]:
        kinds: list[Callable[[], None]] = [self._stop]
        kinds += [self._fill] if self._full else []
        return kinds + ([self._jump] if self._jumps else [])

    def __enter__(self) -> Faults:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, fault: Callable[[], None]) -> None:
        # The points in time are random: this is what is tested.
        longest = 1.0  # the first is to come in a short run, too
        while not self._ended.wait(self._chance.random() * longest):
            fault()
            longest = 5.0

    def _stop(self) -> None:
        alive = sorted((what, pid) for what, pid in self._victims().items() if pid is not None)
        if not alive:
            return
        what, pid = self._chance.choice(alive)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self.counts[f"stopped {what}"] += 1
            self._ended.wait(self._chance.random() ** 3 * 4)
            os.kill(pid, signal.SIGCONT)

    def _fill(self) -> None:
        assert self._full is not None
        ballast = self._full / "ballast"
        try:
            with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as stream:
                while stream.write(b"x" * (1 << 20)):
                    pass
            self.counts["full disk"] += 1
            self._ended.wait(0.2 + self._chance.random() * 2)
        finally:
            ballast.unlink(missing_ok=True)

    def _jump(self) -> None:
        assert self._jumps is not None
        by = self._chance.choice([-86400.0, -3600.0, -30.0, 0.0, 30.0, 3600.0, 86400.0])
        beside = self._jumps.with_suffix(".new")
        beside.write_bytes(struct.pack("d", by))
        beside.rename(self._jumps)
        self.counts["clock jump"] += 1


def clock_that_jumps(root: Path) -> tuple[str, Path]:
    """Make an interpreter whose ``time.time()`` is wrong, in all that it starts as `sys.executable`, too.

    Returns:
        the path of the interpreter, and the file that says by how many seconds, as a double.
    """
    jumps = root / JUMPS
    jumps.write_bytes(struct.pack("d", 0.0))
    venv.create(root / "venv", with_pip=False, symlinks=True)
    (site,) = (root / "venv" / "lib").glob("python*/site-packages")
    (site / "a_clock_that_jumps.py").write_text(CLOCK.format(path=str(jumps)))
    (site / "z.pth").write_text("\n".join([*filter(None, sys.path), "import a_clock_that_jumps", ""]))
    return str(root / "venv" / "bin" / "python"), jumps


@contextlib.contextmanager
def disk_of_its_own(directory: Path) -> Iterator[Path | None]:
    """Have a small disk at a directory; gives None, and has none there, where that is not allowed.

    What was on it when something has failed is beside it, then.
    """
    directory.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        yield directory
    except BaseException:
        with contextlib.suppress(shutil.Error):  # of what went meanwhile
            shutil.copytree(directory, directory.with_suffix(".kept"), symlinks=True)
        raise
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)

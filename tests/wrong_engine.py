"""The engine of `RightBackend`, wrong in how it ends programs: what it is told says in which way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import right_engine


def leader(process: subprocess.Popen[bytes], why: str) -> str:
    """End the program alone, and leave what it has started."""
    process.terminate()
    process.wait()
    return why


def kill(process: subprocess.Popen[bytes], why: str) -> str:
    """Kill it without a warning."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return why


if __name__ == "__main__":
    right_engine.end = {"leader": leader, "kill": kill}[sys.argv[3]]
    right_engine.main()

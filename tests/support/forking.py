"""Programs that fork: what they begin with, and how they are run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

IN_CHILD = """
import os, traceback

def in_child(do):
    child = os.fork()
    if not child:
        try:
            do()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
"""Defines ``in_child``, which calls a function in a child, and fails where that does."""


def run_forking(program: str, *arguments: str, said: str = "over\n", timeout: float = 170) -> None:
    """Run a program that begins with what `IN_CHILD` defines; it ends well, and writes this to stdout."""
    started = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", IN_CHILD + program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = started.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)  # its children, too
        pytest.fail(f"it hangs: {started.communicate()}")
    assert (started.returncode, out) == (0, said), err

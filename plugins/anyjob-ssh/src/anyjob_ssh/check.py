"""What ``anyjob remote check`` looks at, step by step: each in words."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import anyjob
from anyjob import BackendError
from anyjob.sdk import Ending, Hello
from anyjob_ssh import command_line
from anyjob_ssh.backend import SshBackend
from anyjob_ssh.options import SshOptions

MARK = "anyjob-remote-check"
"""What is printed there by a program, to tell it from what the login shell prints by itself."""
CLOCKS = 5.0
"""Seconds that two clocks may be apart, before that is told as something to mend."""
LITTLE = 1 << 30
"""Bytes of free space below which that is told as something to mend."""
SHOWN = 200


class Step(NamedTuple):
    """What was found by one step.

    Args:
        name: what was looked at.
        state: ``ok``, ``note`` (it works, and somebody may want to know), or ``failed``.
        message: in words.
    """

    name: str
    state: str
    message: str


def check(backend: SshBackend) -> Iterator[Step]:
    """Look at a machine; the steps end with the first that fails."""
    options: SshOptions = backend.options
    started = time.monotonic()
    program, *rest = command_line.ssh_arguments(options)
    try:
        done = subprocess.run(
            [program, "-T", *rest, f"exec printf {MARK}"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=command_line.ssh_environment(backend.environment()),
            timeout=options.timeout * 2,
        )
    except subprocess.TimeoutExpired:
        ending = Ending(None, "", "", time.monotonic() - started)
        yield Step("log in", "failed", str(backend.explain(ending)))
        return
    except OSError as error:
        yield Step("log in", "failed", f"cannot run {program}: {error.strerror or error}")
        return
    took = time.monotonic() - started
    printed = done.stdout.decode("utf-8", "replace")
    if not printed.endswith(MARK):
        ending = Ending(done.returncode, done.stderr.decode("utf-8", "replace"), printed, took)
        yield Step("log in", "failed", str(backend.explain(ending)))
        return
    yield Step("log in", "ok", f"in {took:.1f} s")
    yield _shell(printed.removesuffix(MARK))
    try:
        hello, offers = backend.hello(), backend.offers()
    except BackendError as error:
        yield Step("anyjob", "failed", str(error))
        return
    yield from judge(hello, options, time.time(), next(iter(offers.values())).problem)


def _shell(noise: str) -> Step:
    if not noise:
        return Step("shell", "ok", "prints nothing by itself")
    shown = " ".join(noise.split())[:SHOWN]
    why = (
        f"prints {len(noise)} characters by itself, which are skipped; scp and sftp may break on it: {shown}"
    )
    return Step("shell", "note", why)


def judge(hello: Hello, options: SshOptions, now: float, problem: str = "") -> Iterator[Step]:
    """Say what is to be thought of what the far side says of itself.

    Args:
        hello: that.
        options: those of the backend.
        now: the time here, in seconds since 1970.
        problem: why the backend there cannot be used, if it cannot.
    """
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    same = hello.python.split(".")[:2] == here.split(".")
    yield Step(
        "python",
        "ok" if same else "note",
        f"{hello.python} on {hello.host}"
        + (
            ""
            if same
            else f", {here} here: functions of __main__ and nested ones do not travel between the two"
        ),
    )
    yield Step(
        "anyjob",
        "ok" if hello.anyjob == anyjob.__version__ else "note",
        f"{hello.anyjob}, state in {hello.state}"
        + ("" if hello.anyjob == anyjob.__version__ else f"; here it is {anyjob.__version__}"),
    )
    wanted = options.backend or hello.default
    offered = ", ".join(f"{name} ({found.type})" for name, found in hello.backends.items())
    if problem:
        yield Step("backends", "failed", f"{offered}; {wanted} is used: {problem}")
    elif wanted in hello.backends:
        yield Step("backends", "ok", f"{offered}; {wanted} is used")
    else:
        yield Step("backends", "note", f"{offered}; {wanted} is used, which is not configured there")
    apart = hello.time - now
    yield Step(
        "clock",
        "ok" if abs(apart) < CLOCKS else "note",
        "as here" if abs(apart) < CLOCKS else f"{abs(apart):.0f} s {'ahead' if apart > 0 else 'behind'}",
    )
    if hello.free is not None:
        state = "ok" if hello.free >= LITTLE else "note"
        yield Step("space", state, f"{hello.free / 2**30:.1f} GiB free")

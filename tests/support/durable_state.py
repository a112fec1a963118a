"""A state directory for tests of durable jobs, with nothing left running at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from anyjob import set_default_session
from anyjob.session.default import default_session


@contextlib.contextmanager
def durable_state(directory: Path) -> Iterator[Path]:
    """Have the default session keep its jobs below this directory; then end all that has come of it."""
    state = directory / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANYJOB_STATE", str(state))
        set_default_session(None)
        try:
            yield state
        finally:
            default_session().close()
            set_default_session(None)
            end_programs(state)


def end_programs(state: Path) -> None:
    """Kill the programs that keep the jobs of a state directory, and those jobs."""
    ours = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(state) in (process.info["cmdline"] or []) and process.is_running()
    ]
    for process in ours:
        with contextlib.suppress(psutil.Error):
            ours += process.children(recursive=True)
    for process in ours:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(ours, timeout=30)

"""A state directory for tests of durable jobs, with nothing left running at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyjob import set_default_session
from anyjob.session.default import default_session
from anyjob.testing.environment.leftover_processes import end_leftovers


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
            end_leftovers(state)

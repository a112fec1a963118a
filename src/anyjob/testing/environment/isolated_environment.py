"""An environment of its own for a test: no settings of whoever runs it, and nothing left running."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from anyjob.testing.environment.leftover_processes import end_leftovers


@contextmanager
def isolated(home: Path, keep: Collection[str] = ()) -> Iterator[Path]:
    """Hide the settings of whoever runs the tests; at the end, end what was left running.

    Inside no variable ``ANYJOB_…`` is set, and configuration and state are sought below ``home``. The
    default session is one of its own. Of the variables ``XDG_…`` that were not set empty ones stay, which
    mean the same.

    Args:
        home: an empty directory.
        keep: variables that stay, since they are meant for the tests themselves.
    """
    # Sockets need a short path.
    runtime = Path(tempfile.mkdtemp(prefix="anyjob-test-", dir="/tmp"))
    _close_default_session()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - set(keep):
            if name.startswith("ANYJOB_"):
                patch.delenv(name)
        for variable, place in _places(home, runtime).items():
            # An engine's native threads may read the environment at any time, which glibc below 2.41 moves as
            # variables are added, and that ends the process: what was added once is replaced from then on.
            os.environ.setdefault(variable, "")
            patch.setenv(variable, str(place))
        try:
            yield home
        finally:
            _close_default_session()
            if any(runtime.iterdir()):  # `local` was used
                end_leftovers(runtime)
                end_leftovers(home)
            shutil.rmtree(runtime)


def _places(home: Path, runtime: Path) -> dict[str, Path]:
    below_home = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
    places = {variable: home / variable for variable in below_home}
    return places | {"XDG_CONFIG_DIRS": home / "etc", "XDG_RUNTIME_DIR": runtime}


def _close_default_session() -> None:
    module = sys.modules.get("anyjob.session.current_sessions")  # not imported for this
    session = module.current_default() if module is not None else None
    if module is not None and session is not None:
        session.close()
        module.set_default(None)

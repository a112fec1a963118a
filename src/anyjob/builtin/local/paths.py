"""The files and sockets of the `local` backend on one host, and the commands that start its programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from anyjob.builtin.local.ipc.sockets import KEEPER_SOCKET, RUNTIME_RECORD, SUPERVISOR_SOCKET
from anyjob.errors import ConfigError, StateError
from anyjob.ledger import identity
from anyjob.ledger.file.statedir import private_directory, runtime_directory
from anyjob.spool.private_files import write_private

_KEPT = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "PYTHONHOME",
        "PYTHONMALLOC",
        "VIRTUAL_ENV",
    ]
)


class RuntimePaths:
    """The files and sockets of one user, host and state directory.

    Args:
        state: the state directory; made when it is missing.
        runtime: where the sockets are; by default what belongs to the state directory and the host.
        host: what this machine was called when the first of our processes asked: a machine that is renamed
            meanwhile does not part locks, sockets and queue.

    Raises:
        ConfigError: the host has no name that a directory can have.
        StateError: one of them is somebody else's, or others may write to it.
    """

    def __init__(self, state: Path, runtime: Path | None = None, host: str = "") -> None:
        self.state = Path(state).absolute()
        self.host = host or identity.HOST
        if "/" in self.host or self.host in (".", ".."):
            raise ConfigError(f"{self.host!r} is no name of a host: set ANYJOB_HOST to one without slashes")
        self.spool = self.state / "spool"
        self.environments = self.state / "env"
        self.logs = self.state / "hosts" / self.host
        self.supervisor_lock = self.logs / "supervisor.lock"
        self.keeper_lock = self.logs / "keeper.lock"
        self.keeper_log = self.logs / "keeper.log"
        self.boot = self.logs / "boot"
        self._given_runtime = runtime
        self.find_sockets()

    def releaser_lock(self, key: str) -> Path:
        """Return the lock of the one releaser of some surroundings: see `ledger.releasing.submitters`."""
        return self.logs / f"releaser-{key}.lock"

    def find_sockets(self) -> None:
        """Find out where the sockets are now: their directory may go with a session, or with the state."""
        for directory in (self.state, self.spool, self.environments, self.logs.parent, self.logs):
            private_directory(directory)
        given = self._given_runtime
        self.runtime = private_directory(given) if given else self._recorded_runtime()
        self.supervisor_socket = self.runtime / SUPERVISOR_SOCKET
        self.keeper_socket = self.runtime / KEEPER_SOCKET

    def _recorded_runtime(self) -> Path:
        """Return where the sockets are: where the first process that asked would have them.

        Not all processes of a user have the same ``XDG_RUNTIME_DIR``: one that cron starts has none.
        """
        record = self.logs / RUNTIME_RECORD
        for _ in range(2):
            with suppress(FileNotFoundError):
                runtime = Path(os.fsdecode(record.read_bytes()))
                with suppress(StateError):
                    if runtime.is_absolute() and runtime.is_dir():
                        return private_directory(runtime)
                record.unlink()  # it went with the session that it belonged to, or somebody else has it now
            beside = self.logs / f"runtime.{os.getpid()}"
            write_private(beside, os.fsencode(runtime_directory(self.state, self.host)))
            try:
                os.link(beside, record)
            except FileExistsError:
                pass  # another process was first
            finally:
                beside.unlink()
        return runtime_directory(self.state, self.host)

    def arguments(self, program: str, *, own_path: bool = True) -> list[str]:
        """Return what an interpreter is given to run the ``keeper`` or the ``supervisor`` for these paths.

        Args:
            program: which of them.
            own_path: whether it finds what this process finds, however that came to be importable. Another
                interpreter finds what is installed for it.
        """
        path = [entry for entry in sys.path if entry] if own_path else []
        return self.arguments_of(f"anyjob.builtin.local.{program}.main", path)

    def arguments_of(self, module: str, path: Sequence[str]) -> list[str]:
        """Return what an interpreter is given to run a module for these paths.

        Args:
            module: which one: it has a function ``main``.
            path: where it finds what it imports; empty: where that interpreter does.
        """
        sets_path = f"sys.path[:]={list(path)!r};" if path else ""
        code = f"import sys;{sets_path}from {module} import main;sys.exit(main())"
        where = ["--state", str(self.state), "--runtime", str(self.runtime), "--host", self.host]
        return ["-P", "-c", code, *where]


def program_environment() -> dict[str, str]:
    """Return the variables that keeper and supervisor get: neither secrets nor the marks of a job."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(("XDG_", "COVERAGE_"))
    }
    return {**kept, "LC_ALL": "C.UTF-8"}

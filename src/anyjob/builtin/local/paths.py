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
from anyjob.ledger.file.statedir import cannot_write, private_directory, runtime_directory
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
_STANDARD = (os.path.dirname(os.__file__), os.path.join(os.path.dirname(os.__file__), "lib-dynload"))


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

    def reading_note(self, key: str) -> Path:
        """Return the file in which that notes whose call it reads."""
        return self.logs / f"releaser-{key}.reading"

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
                recorded, *owner = record.read_bytes().split(b"\0")
                runtime = Path(os.fsdecode(recorded))
                is_ours = self._is_ours(*owner)
                with suppress(StateError):
                    if is_ours and runtime.is_absolute() and runtime.is_dir():
                        return private_directory(runtime)
                if not is_ours:  # what runs there is ended by those of the original alone
                    self.boot.unlink(missing_ok=True)
                record.unlink()  # it went with the session that it belonged to, or somebody else has it now
            beside = self.logs / f"runtime.{os.getpid()}"
            record_of_ours = b"\0".join([os.fsencode(self._new_runtime()), *self._owner()])
            try:
                write_private(beside, record_of_ours)
            except OSError as error:
                raise cannot_write(beside, error) from error
            try:
                os.link(beside, record)
            except FileExistsError:
                pass  # another process was first
            finally:
                beside.unlink()
        return self._new_runtime()

    def _new_runtime(self) -> Path:
        return runtime_directory(self.state, self.host)

    def _owner(self) -> tuple[bytes, bytes]:
        """The state directory that a record is of: where it is, and which inode has its files."""
        return os.fsencode(os.path.realpath(self.state)), b"%d" % os.stat(self.logs).st_ino

    def _is_ours(self, *owner: bytes) -> bool:
        """Tell whether a record is of this state directory, and not of one that this is a copy of.

        One that is mounted elsewhere, too, has the inode; where file systems make up inodes, it has the path.
        """
        return not owner or any(map(bytes.__eq__, owner, self._owner()))

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
        # What lies beside a user's script is no module of the standard library for our programs.
        ordered = sorted(path, key=lambda entry: entry not in _STANDARD)
        sets_path = f"sys.path[:]={ordered!r};" if path else ""
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

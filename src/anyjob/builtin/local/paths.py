"""Where the programs of the `local` backend meet: sockets, locks and logs of one host."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

from anyjob.builtin.local.process_table import start_time
from anyjob.errors import StateError
from anyjob.ledger.statedir import private_directory, runtime_directory

PROTOCOL = 1
"""Of what client and supervisor say to each other."""
CONNECT = 10.0
"""Seconds that a listener may take to accept: one that was stopped never does."""
_KEPT = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "PYTHONHOME",
        "PYTHONMALLOC",
        "VIRTUAL_ENV",
    ]
)
_FLOCK = "hhqqi"


class RuntimePaths:
    """The files and sockets of one user, host and state directory.

    Args:
        state: the state directory; made when it is missing.
        runtime: where the sockets are; by default what belongs to the state directory.

    Raises:
        StateError: one of them is somebody else's, or others may write to it.
    """

    def __init__(self, state: Path, runtime: Path | None = None) -> None:
        self.state = private_directory(Path(state).absolute())
        self.host = os.uname().nodename
        self.spool = private_directory(self.state / "spool")
        self.environments = private_directory(self.state / "env")
        private_directory(self.state / "hosts")
        self.logs = private_directory(self.state / "hosts" / self.host)
        self.runtime = private_directory(runtime) if runtime else self._recorded()
        self.supervisor_socket = self.runtime / "supervisor.sock"
        self.keeper_socket = self.runtime / "keeper.sock"
        self.supervisor_lock = self.logs / "supervisor.lock"
        self.keeper_lock = self.logs / "keeper.lock"
        self.keeper_log = self.logs / "keeper.log"
        self.boot = self.logs / "boot"

    def _recorded(self) -> Path:
        """Return where the sockets are: where the first process that asked would have them.

        Not all processes of a user have the same ``XDG_RUNTIME_DIR``: one that cron starts has none.
        """
        record = self.logs / "runtime"
        for _ in range(2):
            try:
                runtime = Path(os.fsdecode(record.read_bytes()))
                if runtime.is_absolute() and runtime.is_dir():
                    return private_directory(runtime)
                record.unlink(missing_ok=True)  # it went with the session that it belonged to
            except FileNotFoundError:
                pass
            beside = self.logs / f"runtime.{os.getpid()}"
            write_private(beside, os.fsencode(runtime_directory(self.state)))
            try:
                os.link(beside, record)
            except FileExistsError:
                pass  # another process was first
            finally:
                beside.unlink()
        return runtime_directory(self.state)

    def program(self, name: str) -> list[str]:
        """Return the command that starts one of our programs, ``keeper`` or ``supervisor``, for these places.

        It finds what this process finds, however that came to be importable.
        """
        path = [entry for entry in sys.path if entry]
        module = f"anyjob.builtin.local.{name}.main"
        code = f"import sys;sys.path[:]={path!r};from {module} import main;sys.exit(main())"
        return [sys.executable, "-P", "-c", code, "--state", str(self.state), "--runtime", str(self.runtime)]

    def listen(self, path: Path) -> socket.socket:
        """Listen on a socket that only we may use; a stale one is replaced. The caller holds the lock.

        Raises:
            StateError: that is not possible.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)
            listener.bind(str(path))
        except OSError as error:
            listener.close()
            raise StateError(f"cannot listen on {path}: {error.strerror or error}") from error
        finally:
            os.umask(before)
        listener.listen(256)
        listener.setblocking(False)
        return listener


def write_private(path: str | Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)


def environment() -> dict[str, str]:
    """Return the variables that our own programs get: neither secrets nor the marks of a job."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(("LC_", "XDG_", "COVERAGE_"))
    }


def take_lock(path: Path) -> int | None:
    """Take a lock that ends with this process, or when the descriptor that is returned is closed.

    Returns:
        None where another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def holder(path: Path) -> int | None:
    """Return the pid of the process that has a lock; None where none has. It is not taken for that."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else int(pid)


def connect(path: Path) -> socket.socket | None:
    """Connect to a socket of ours; None where nobody listens.

    Raises:
        StateError: another user serves it.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT)
    try:
        connection.connect(str(path))
        connection.settimeout(None)
        ours = peer_is_us(connection)
    except OSError:
        connection.close()
        return None
    if not ours:
        connection.close()
        raise StateError(f"the socket {path} is served by another user: it is not used")
    return connection


def peer_is_us(connection: socket.socket) -> bool:
    """Tell whether the process at the other end is of our user."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(uid == os.getuid())


def this_boot() -> str:
    """Return what tells apart the times during which a pid means the same process: a boot, or a container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        boot = namespace = ""
    return f"{boot} {namespace} {start_time(1)}"

"""The state directory: what outlives a process lies there, private to its user."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from anyjob.config.directories import platform_directory
from anyjob.errors import StateError
from anyjob.text import full_disk
from anyjob.text.full_disk import explain, is_full

# fmt: off
NETWORK_FILE_SYSTEMS = frozenset((
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph",
    "glusterfs", "afs", "9p", "pvfs2", "orangefs", "virtiofs", "ocfs2", "gfs2",
    "ncpfs", "coda", "vboxsf", "prl_fs", "wekafs", "panfs", "acfs",
))
# fmt: on
"""Those that several machines may write to; the ``fuse.`` ones are taken for such as well."""

SHARED = "/tmp"
"""Where every user may make a directory, and somebody else one that is called as ours."""
LONGEST_ROOT = 80
"""Bytes of the path of a directory for sockets; a socket's own path has 107 at most."""


def default_state(environ: Mapping[str, str] | None = None) -> Path:
    """Return where state lives: ``ANYJOB_STATE``, or the user's state directory of the platform."""
    configured = (os.environ if environ is None else environ).get("ANYJOB_STATE")
    if configured:
        return Path(configured).expanduser().absolute()
    return Path(platform_directory("user_state", os.environ))


def private_directory(path: Path) -> Path:
    """Make a directory of mode 0700, or check that the one that is there is ours alone.

    Raises:
        StateError: it cannot be made or read, belongs to somebody else, or others may write to it.
    """
    way_out = "set ANYJOB_STATE to a directory of your own"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except FileExistsError:
        if path.is_symlink():
            target = os.readlink(path)
            raise StateError(
                f"{path} is a link to {target}, where no directory is: make one there, or {way_out}"
            ) from None
        raise StateError(f"{path} is not a directory: move it away, or {way_out}") from None
    except OSError as error:
        raise StateError(f"cannot make the directory {path}: {explain(error)}; {way_out}") from error
    if found.st_uid != os.geteuid():
        raise StateError(
            f"the directory {path} belongs to uid {found.st_uid}, not to you (uid {os.geteuid()}): what lies "
            f"there is not trusted; {way_out}"
        )
    if found.st_mode & 0o022:
        raise StateError(
            f"others may write to the directory {path} (mode {stat.S_IMODE(found.st_mode):04o}): what lies "
            f"there is not trusted; look at what is in it, then: chmod 700 {path}; or {way_out}"
        )
    if found.st_mode & 0o500 != 0o500:  # as under a umask that takes from its own user, too
        mode = stat.S_IMODE(found.st_mode)
        raise StateError(
            f"the directory {path} cannot be read (mode {mode:04o}): chmod 700 {path}; or {way_out}"
        )
    return path


def runtime_directory(state: Path, host: str) -> Path:
    """Return the short path below which the sockets are that belong to a state directory, on one host.

    It is where the user's session has such things; else in ``/tmp``; and below the state directory where
    these are somebody else's, as ``su`` and containers have it, or cannot be written.

    Raises:
        StateError: none of these can be had; below the state directory, since a home on a network file
            system may hold no socket, or its path is too long.
    """
    import hashlib  # which loads OpenSSL

    name = hashlib.sha256(os.fsencode(os.path.realpath(state)) + b"\0" + os.fsencode(host)).hexdigest()[:12]
    reasons = []
    for root in _socket_roots(state):
        if len(os.fsencode(root)) > LONGEST_ROOT:
            reasons.append(f"the path {root} has more than {LONGEST_ROOT} bytes")
            continue
        try:
            return private_directory(private_directory(root) / name)
        except StateError as error:
            reasons.append(str(error).partition(": ")[0])
    raise StateError(
        f"there is no place for sockets: {', '.join(reasons)}; set XDG_RUNTIME_DIR to a directory of your "
        "own whose path is short"
    )


def _socket_roots(state: Path) -> Iterator[Path]:
    base = os.environ.get("XDG_RUNTIME_DIR")
    with suppress(OSError):
        if base and os.stat(base).st_uid == os.geteuid():  # after su it is that of another user
            yield Path(base) / "anyjob"
    yield Path(SHARED) / f"anyjob-{os.getuid()}"
    yield state / "run"


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file: one thread of one process at a time, whoever dies lets go of it.

    Raises:
        StateError: the file cannot be made or locked.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise cannot_write(lock, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Said, not left to the closing: a process that was forked meanwhile has the lock, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> StateError:
    """Return the error for a file of the state directory that cannot be written."""
    if is_full(error):
        return StateError(
            f"cannot write {path}: {explain(error)}: {full_disk.way_out(error)}, or set ANYJOB_STATE"
        )
    return StateError(
        f"cannot write {path}: {explain(error)}; set ANYJOB_STATE to a directory that can be written"
    )


def file_system(path: Path, mounts: str | None = None) -> str:
    """Return the type of the file system that a path is on; empty where that cannot be told.

    Args:
        path: an existing path.
        mounts: the text of ``/proc/self/mountinfo``, for tests.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""
    real = os.path.realpath(path)
    best, found = -1, ""
    for line in mounts.split("\n"):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = fields[4]
        if "\\" in point:
            point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point)
        # Of two mounts on one point, the later one is what is seen.
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= best:
            best, found = len(point), after.split(" ")[0]
    return found


def is_network(path: Path) -> bool:
    """Tell whether a path is on a network file system, where SQLite's WAL is not safe."""
    kind = file_system(path)
    return kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse.")

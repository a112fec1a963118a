"""Where this process may make cgroups that limit memory, and what those say: both versions of them.

The files of version 2 are as https://docs.kernel.org/admin-guide/cgroup-v2.html has them, those of version 1
as https://docs.kernel.org/admin-guide/cgroup-v1/memory.html.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = "/sys/fs/cgroup"
PROCESSES = "cgroup.procs"
_LIMITING = ("memory.max", "memory.high", "memory.swap.max", "cpu.max")
SLACK = 16 << 20
"""Bytes above what was asked for, with a 32nd of that, at which the kernel's limit lies: it counts what it
takes itself for processes, too, and pages of files that it could not drop yet."""


class Place:
    """A group in which others can be made.

    Args:
        version: of cgroups.
        path: its directory.
        is_to_enable: whether memory is not counted yet for those in it, and can be.
    """

    __slots__ = ("is_to_enable", "path", "version")

    def __init__(self, version: int, path: str, is_to_enable: bool = False) -> None:
        self.version, self.path, self.is_to_enable = version, path, is_to_enable

    def enable(self) -> None:
        """Have memory be counted for the groups in it.

        Raises:
            OSError: the system does not let us.
        """
        if self.is_to_enable:
            write(f"{self.path}/cgroup.subtree_control", "+memory")
            self.is_to_enable = False

    def limit(self, group: str, asked: int) -> None:
        """Limit the memory of a group in it to what was asked for, with what the kernel takes itself.

        Raises:
            OSError: the system does not let us.
        """
        most = str(limit_of(asked))
        if self.version == 1:
            # That with swap may never be less than that without, and the group may have had others.
            _write_if_there(f"{group}/memory.memsw.limit_in_bytes", "-1")
            write(f"{group}/memory.limit_in_bytes", most)
            _write_if_there(f"{group}/memory.max_usage_in_bytes", "0")
            _write_if_there(f"{group}/memory.memsw.limit_in_bytes", most)
        else:
            write(f"{group}/memory.max", most)
            _write_if_there(f"{group}/memory.swap.max", "0")
            _write_if_there(f"{group}/memory.oom.group", "1")

    def kills(self, group: str) -> int:
        """Return how many processes of a group the kernel has killed for want of memory."""
        if self.version == 1:  # there each counts what was killed in it alone
            text = "".join(read(f"{each}/memory.oom_control") for each in groups_in(group))
        else:
            text = read(f"{group}/memory.events")
        counts = (line.split() for line in text.splitlines())
        return sum(int(words[1]) for words in counts if len(words) == 2 and words[0] == "oom_kill")

    def is_clean(self, group: str) -> bool:
        """Tell whether nothing is counted for a group that has no processes but what the kernel can drop.

        Files in memory stay, as of /dev/shm, and they would count for the next job in it.
        """
        swapped = ("swap",) if self.version == 1 else ()
        if self.version == 2 and read(f"{group}/memory.swap.current").strip() not in ("", "0"):
            return False
        counts = (line.split() for line in read(f"{group}/memory.stat").splitlines())
        found = {words[0]: words[1] for words in counts if len(words) == 2}
        return all(found.get(name, "0") == "0" for name in ("shmem", "unevictable", *swapped))

    def peak(self, group: str) -> int:
        """Return the most bytes that a group has had; 0 where that is not told, as before Linux 5.19."""
        text = read(f"{group}/{'memory.max_usage_in_bytes' if self.version == 1 else 'memory.peak'}").strip()
        return int(text) if text.isdigit() else 0


def limit_of(asked: int) -> int:
    """Return how many bytes the kernel's limit is for a job that has asked for so many."""
    return asked + asked // 32 + SLACK


def find_place(
    own: str | None = None, root: str = ROOT, may_write: Callable[[str], bool] | None = None
) -> Place | None:
    """Return where groups for jobs can be made; nothing is changed by that.

    Args:
        own: what ``/proc/self/cgroup`` says of this process.
        root: where cgroups are mounted.
        may_write: tells whether this process may write to a file, or into a directory.
    """
    may_write = may_write or (lambda path: os.access(path, os.W_OK))
    text = read("/proc/self/cgroup") if own is None else own
    paths = {controllers: path for _, controllers, path in (line.split(":", 2) for line in text.splitlines())}
    for controllers, path in paths.items():
        if "memory" in controllers.split(","):
            return _version_1(_directory(f"{root}/memory", path), may_write)
    if "" in paths:  # version 2, of which no controller is one of version 1
        return _version_2(root, _directory(root, paths[""]), may_write)
    return None


def _directory(root: str, path: str) -> str:
    """Return the directory of a group: the root where its name, as in a container, is that of the host."""
    directory = f"{root}{path.rstrip('/')}"
    return directory if path.startswith("/") and "/.." not in path and os.path.isdir(directory) else root


def _version_1(group: str, may_write: Callable[[str], bool]) -> Place | None:
    """Return our own group, where limits hold for the groups in it, and what exceeds them is killed."""
    holds = read(f"{group}/memory.use_hierarchy").strip() == "1"
    kills = "oom_kill_disable 0" in read(f"{group}/memory.oom_control").splitlines()
    return Place(1, group) if holds and kills and may_write(group) else None


def _version_2(root: str, group: str, may_write: Callable[[str], bool]) -> Place | None:
    """Return the nearest group around us that may have others for jobs in it: our own has processes.

    It is not sought beyond a group that limits what is in it: a job would escape that.
    """
    while True:
        counts = "memory" in read(f"{group}/cgroup.subtree_control").split()
        if _is_a_place(group, counts, may_write):
            return Place(2, group, is_to_enable=not counts)
        if group == root or _limits_something(group):
            return None
        group = os.path.dirname(group)


def _is_a_place(group: str, counts: bool, may_write: Callable[[str], bool]) -> bool:
    if read(f"{group}/cgroup.type").strip() not in ("", "domain"):
        return False
    if not (may_write(group) and may_write(f"{group}/{PROCESSES}")):
        return False
    # One that has processes cannot have controllers for others, but for the root, which has no type.
    is_root = not os.path.exists(f"{group}/cgroup.type")
    has_processes = bool(read(f"{group}/{PROCESSES}").strip())
    known = "memory" in read(f"{group}/cgroup.controllers").split()
    can_count = known and may_write(f"{group}/cgroup.subtree_control") and (is_root or not has_processes)
    return counts or can_count


def _limits_something(group: str) -> bool:
    if read(f"{group}/cpuset.cpus").strip():
        return True
    return any(read(f"{group}/{name}").split()[:1] not in ([], ["max"]) for name in _LIMITING)


def groups_in(group: str) -> list[str]:
    """Return a group and those that a job has made in it, the innermost first."""
    return [path for path, _, _ in os.walk(group, topdown=False)]


def processes_in(group: str) -> list[int]:
    """Return the pids of a group; without those that are known by no number here."""
    return [int(pid) for pid in read(f"{group}/{PROCESSES}").split() if int(pid) > 0]


def read(path: str) -> str:
    """Return what a file says; nothing where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""


def write(path: str, text: str) -> None:
    """Write to a file of cgroups, which takes what is written at once, or refuses it."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _write_if_there(path: str, text: str) -> None:
    """Write what not each kernel has, or lets be set."""
    try:
        write(path, text)
    except OSError:
        return

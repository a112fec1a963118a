"""How much memory there is for jobs: the machine's, or that of a cgroup that this process is in."""

from __future__ import annotations

import pytest

from anyjob.builtin.local.machine import totals

GIB = 1 << 30
MEMINFO = "MemTotal:       24684092 kB\nMemFree:        1 kB\n"
V2 = {
    "/proc/self/cgroup": "0::/user.slice/job.scope\n",
    "/sys/fs/cgroup/user.slice/memory.max": f"{3 * GIB}\n",
    "/sys/fs/cgroup/user.slice/job.scope/memory.max": "max\n",
}
V1 = {
    "/proc/self/cgroup": "9:cpu,cpuacct:/\n5:memory:/docker/0a1b\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
}
UNLIMITED_V1 = {
    "/proc/self/cgroup": "5:memory:/\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
}
MACHINE = 24684092 * 1024 // 2**20 * 2**20


@pytest.mark.parametrize(
    ("files", "size"),
    [({}, MACHINE), (V2, 3 * GIB), (V1, 2 * GIB), (UNLIMITED_V1, MACHINE)],
    ids=["machine", "v2", "v1-in-container", "v1-unlimited"],
)
def test_memory_is_the_least_of_what_holds(
    files: dict[str, str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "read", lambda path: {"/proc/meminfo": MEMINFO, **files}.get(path, ""))
    assert totals.memory() == size
    assert size % 2**20 == 0, "people read it in MiB"


def test_of_a_machine_that_tells_nothing_memory_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "read", lambda path: "")
    assert totals.totals({"slots": 2}) == {"cpus": 2}
    assert totals.totals({"slots": 2, "memory": GIB, "resources": {"license": 1}}) == {
        "cpus": 2, "memory": GIB, "license": 1,
    }  # fmt: skip

"""The GPUs of a machine: told, or found by NVML; which of them a process may use, and a job sees."""

from __future__ import annotations

import json
import sys
import types
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from anyjob.builtin.local.machine import gpus
from anyjob.builtin.local.machine.gpus import Gpu, NoGpus, available, device_variables, restriction, variables
from anyjob.cli.backends import commands
from anyjob.errors import ConfigError

GIB = 2**30


class NVMLError(Exception):
    pass


def driver(
    memories: list[int], *, divided: dict[int, list[str]] | None = None, error: str = ""
) -> types.ModuleType:
    """A module like pynvml, of a machine with such GPUs; ``divided`` has parts of some, by their index."""
    parts = divided or {}
    module: Any = types.ModuleType("pynvml")

    def init() -> None:
        if error:
            raise NVMLError(error)

    def mig_mode(handle: Any) -> list[int]:
        if handle not in parts:
            raise NVMLError("Not Supported")
        return [1, 1]

    def part(handle: int, number: int) -> str:
        if number >= len(parts[handle]):
            raise NVMLError("Not Found")
        return parts[handle][number]

    module.NVMLError = NVMLError
    module.nvmlInit, module.nvmlShutdown = init, lambda: None
    module.nvmlDeviceGetCount = lambda: len(memories)
    module.nvmlDeviceGetHandleByIndex = lambda number: number
    module.nvmlDeviceGetMigMode = mig_mode
    module.nvmlDeviceGetMaxMigDeviceCount = lambda handle: 7
    module.nvmlDeviceGetMigDeviceHandleByIndex = part
    module.nvmlDeviceGetUUID = lambda handle: (
        handle if isinstance(handle, str) else f"GPU-{handle}000".encode()
    )
    module.nvmlDeviceGetMemoryInfo = lambda handle: types.SimpleNamespace(
        total=5 * GIB if isinstance(handle, str) else memories[handle]
    )
    made: types.ModuleType = module
    return made


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver([24 * GIB, 16 * GIB]))


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)


@pytest.mark.usefixtures("two")
def test_they_are_found_by_their_uuids_with_their_memory() -> None:
    assert available(None, None, {}) == [Gpu("GPU-0000", 24 * GIB, "0"), Gpu("GPU-1000", 16 * GIB, "1")]


def test_of_one_that_is_divided_its_parts_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = driver([40 * GIB, 16 * GIB], divided={0: ["MIG-a", "MIG-b"]})
    monkeypatch.setitem(sys.modules, "pynvml", module)
    assert [gpu.id for gpu in available(None, None, {})] == ["MIG-a", "MIG-b", "GPU-1000"]
    assert [gpu.memory for gpu in available(None, None, {})] == [5 * GIB, 5 * GIB, 16 * GIB]


@pytest.mark.parametrize(
    ("visible", "ids"),
    [
        ("1", ["GPU-1000"]),
        ("1,0", ["GPU-1000", "GPU-0000"]),
        ("GPU-1000", ["GPU-1000"]),
        ("GPU-1", ["GPU-1000"]),  # CUDA takes the beginning of one
        ("0,-1,1", ["GPU-0000"]),
        ("0,0", ["GPU-0000"]),
    ],
)
@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"])
@pytest.mark.usefixtures("two")
def test_an_inherited_restriction_is_honoured(name: str, visible: str, ids: list[str]) -> None:
    assert [gpu.id for gpu in available(None, None, {name: visible})] == ids


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles", "7", "GPU-9"])
@pytest.mark.usefixtures("two")
def test_one_that_leaves_none_is_told(visible: str) -> None:
    with pytest.raises(NoGpus, match=f"CUDA_VISIBLE_DEVICES='{visible}' leaves none of those that there are"):
        available(None, None, {"CUDA_VISIBLE_DEVICES": visible})


@pytest.mark.usefixtures("nothing_installed")
def test_they_may_be_told() -> None:
    assert [gpu.id for gpu in available(2, None, {})] == ["0", "1"]
    assert available(("GPU-a", "1"), 8 * GIB, {}) == [Gpu("GPU-a", 8 * GIB), Gpu("1", 8 * GIB, "1")]
    # So many of those that this process may use.
    assert [gpu.id for gpu in available(2, None, {"CUDA_VISIBLE_DEVICES": "5,3,1"})] == ["5", "3"]
    assert [gpu.id for gpu in available(2, None, {"CUDA_VISIBLE_DEVICES": "GPU-c"})] == ["GPU-c"]
    assert [gpu.id for gpu in available(("0", "1", "2"), None, {"CUDA_VISIBLE_DEVICES": "2,1"})] == ["2", "1"]
    with pytest.raises(NoGpus, match="leaves none"):
        available(2, None, {"CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.usefixtures("two")
def test_one_that_is_told_and_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no GPU '7' here; there are: 0 \(GPU-0000\), 1 \(GPU-1000\)"):
        available(("0", "7"), None, {})
    assert [gpu.memory for gpu in available(("1",), None, {})] == [16 * GIB]


@pytest.mark.usefixtures("nothing_installed")
def test_where_nothing_tells_the_way_out_is_told() -> None:
    with pytest.raises(NoGpus, match="install nvidia-ml-py, or set `gpus` of the backend"):
        available(None, None, {})
    with pytest.raises(NoGpus, match="there are none: set `gpus` of the backend where there are"):
        available(0, None, {})


def test_a_driver_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver([], error="Driver Not Loaded"))
    with pytest.raises(NoGpus, match=r"driver tells of none \(Driver Not Loaded\): set `gpus`"):
        available(None, None, {})


@pytest.mark.parametrize(
    ("drivers", "expected"),
    [
        ((), {"CUDA_VISIBLE_DEVICES": "3,5", "ROCR_VISIBLE_DEVICES": "3,5"}),
        (("NVIDIA_DRIVER",), {"CUDA_VISIBLE_DEVICES": "3,5", "ROCR_VISIBLE_DEVICES": "3,5"}),
        (
            ("AMD_DRIVER",),  # HIP counts among what ROCr has left
            {"CUDA_VISIBLE_DEVICES": "0,1", "ROCR_VISIBLE_DEVICES": "3,5", "HIP_VISIBLE_DEVICES": "0,1"},
        ),
    ],
)
def test_a_job_sees_its_own(
    drivers: tuple[str, ...], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NVIDIA_DRIVER", "AMD_DRIVER"):
        monkeypatch.setattr(gpus, name, "/dev/null" if name in drivers else "/dev/no-such-driver")
    found = device_variables(["3", "5"])
    assert {name.decode(): value.decode() for name, value in found.items()} == expected


@given(st.sampled_from([{}, {"CUDA_VISIBLE_DEVICES": "1,3"}, {"ROCR_VISIBLE_DEVICES": "2"}]), st.booleans())
def test_what_a_job_submits_is_restricted_as_the_job_was(environ: dict[str, str], hidden: bool) -> None:
    within = {**environ, **variables(environ, hidden=hidden)}
    assert restriction(within)[1] == restriction(environ)[1]
    if hidden:
        assert within["CUDA_VISIBLE_DEVICES"] == within["ROCR_VISIBLE_DEVICES"] == ""


@pytest.mark.usefixtures("two")
def test_those_that_were_found_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")

    def show(*options: str) -> str:
        done = CliRunner().invoke(commands.backends, ["show", "local", *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "GPUs that jobs may have: GPU-1000 (16GiB), GPU-0000 (24GiB)\n" in show()
    assert [gpu["id"] for gpu in json.loads(show("--json"))["gpus"]] == ["GPU-1000", "GPU-0000"]
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "GPUs" not in show().splitlines()[-1]
    assert json.loads(show("--json"))["gpus"] == []

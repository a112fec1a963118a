"""The GPUs of this machine: told or found, those that a process may use, and the variables that say so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from anyjob.errors import ConfigError
from anyjob.standalone.gpu_memory import handles

CUDA, ROCR, HIP = "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"
BEFORE = "ANYJOB_VISIBLE_GPUS"
"""Within a job: what was visible where it was submitted, for the jobs that it submits itself."""
ALL = "all"
NVIDIA_DRIVER, AMD_DRIVER = "/dev/nvidiactl", "/dev/kfd"


class Gpu(NamedTuple):
    """A GPU.

    Args:
        id: its UUID, or its index, as the variables take it.
        memory: the bytes that it has; 0 where nobody knows.
        number: its index, where that is known.
    """

    id: str
    memory: int = 0
    number: str = ""

    def answers_to(self, word: str) -> bool:
        """Tell whether a word of a variable means this one: CUDA takes the beginning of a UUID, too."""
        return word in (self.id, self.number) or (len(word) > 4 and self.id.startswith(word))


class NoGpus(Exception):
    """There are none, or nobody knows of them; why, in words that follow on 'and'."""


def available(told: int | Sequence[str] | None, memory: int | None, environ: Mapping[str, str]) -> list[Gpu]:
    """Return the GPUs that jobs may have that are submitted from here.

    Args:
        told: how many there are, or their ids; None to look for them.
        memory: the bytes that each has, where that is told.
        environ: the variables of this process, which may restrict it to some.

    Raises:
        NoGpus: there are none for them.
        ConfigError: one that is told is not there.
    """
    if told is None:
        gpus = found()
    elif isinstance(told, int):
        gpus = [Gpu(str(number), number=str(number)) for number in range(told)]
    else:
        gpus = _checked([Gpu(each, number=each if each.isdigit() else "") for each in told])
    if not gpus:
        raise NoGpus("there are none: set `gpus` of the backend where there are")
    gpus = _visible(gpus, isinstance(told, int), environ)
    return [gpu._replace(memory=memory or gpu.memory) for gpu in gpus]


def _visible(gpus: list[Gpu], are_counted: bool, environ: Mapping[str, str]) -> list[Gpu]:
    """Return those that the variables of a process let it use."""
    name, words = restriction(environ)
    if words is None:
        return gpus
    if are_counted and words:  # so many of those
        return [Gpu(word, number=word if word.isdigit() else "") for word in words[: len(gpus)]]
    visible = [gpu for word in words for gpu in gpus if gpu.answers_to(word)]
    if not visible:
        shown = environ[name]
        raise NoGpus(f"{name}={shown!r} leaves none of those that there are: unset it, or name others")
    return list(dict.fromkeys(visible))


def restriction(environ: Mapping[str, str]) -> tuple[str, list[str] | None]:
    """Return which variable restricts a process to some GPUs, and to which; None where none does."""
    before = environ.get(BEFORE)
    if before is not None:
        return BEFORE, None if before == ALL else _words(before)
    for name in (CUDA, ROCR):
        if name in environ:
            return name, _words(environ[name])
    return "", None


def _words(text: str) -> list[str]:
    """Return the GPUs that a variable names: what follows on a word that is none does not count."""
    words: list[str] = []
    for word in map(str.strip, text.split(",")):
        if not word or word.startswith("-") or word == "NoDevFiles":
            break
        words.append(word)
    return words


def variables(environ: Mapping[str, str], *, hidden: bool) -> dict[str, str]:
    """Return what the jobs of a bulk get beside the variables of their submitter.

    Args:
        environ: those.
        hidden: they are to see no GPU.
    """
    _, words = restriction(environ)
    before = {BEFORE: ALL if words is None else ",".join(words)}
    return {**before, CUDA: "", ROCR: ""} if hidden else before


def device_variables(devices: Sequence[str]) -> dict[bytes, bytes]:
    """Return the variables by which a job sees its own GPUs, and no others.

    On AMD's, what HIP takes counts among those that ROCr has left, from 0 on, and it takes CUDA's, too.
    """
    ids = ",".join(devices)
    if os.path.exists(AMD_DRIVER) and not os.path.exists(NVIDIA_DRIVER):
        numbers = ",".join(map(str, range(len(devices))))
        named = {CUDA: numbers, ROCR: ids, HIP: numbers}
    else:
        named = {CUDA: ids, ROCR: ids}
    return {name.encode(): os.fsencode(value) for name, value in named.items()}


def _checked(told: list[Gpu]) -> list[Gpu]:
    """Return GPUs that are told, with what is found of them.

    Raises:
        ConfigError: one of them is not there.
    """
    try:
        there = found()
    except NoGpus:
        return told  # nobody knows better
    checked = []
    for gpu in told:
        known = next((each for each in there if each.answers_to(gpu.id)), None)
        if known is None:
            names = ", ".join(f"{each.number} ({each.id})" for each in there)
            raise ConfigError(f"gpus: there is no GPU {gpu.id!r} here; there are: {names or 'none'}")
        checked.append(gpu._replace(memory=known.memory))
    return checked


def found() -> list[Gpu]:
    """Return NVIDIA's GPUs, as their driver tells; of one that is divided (MIG), its parts.

    Raises:
        NoGpus: nothing tells: the package ``nvidia-ml-py`` is not installed, or there is no driver.
    """
    try:
        import pynvml  # type: ignore[import-not-found]
    except ImportError:
        raise NoGpus(
            "nothing here tells of any: install nvidia-ml-py, or set `gpus` of the backend"
        ) from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoGpus(f"NVIDIA's driver tells of none ({error}): set `gpus` of the backend") from None
    try:
        return [_described(pynvml, handle, number) for handle, number in handles(pynvml)]
    except pynvml.NVMLError as error:
        raise NoGpus(f"NVIDIA's driver does not tell of them ({error}): set `gpus` of the backend") from None
    finally:
        pynvml.nvmlShutdown()


def _described(pynvml: Any, handle: Any, number: str) -> Gpu:
    uuid = pynvml.nvmlDeviceGetUUID(handle)
    try:
        memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError:
        memory = 0
    return Gpu(uuid.decode() if isinstance(uuid, bytes) else uuid, memory, number)

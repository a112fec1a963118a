"""What came of a job, and what stands in it for what one process alone can give."""

from __future__ import annotations

from typing import Any

import msgspec

from anyjob.status import JobStatus

USAGE = ("cpu_time", "peak_memory", "read_bytes", "written_bytes", "peak_gpu_memory")
"""The fields of an outcome that say what a job has used."""


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What came of a job.

    Args:
        status: the final status.
        reason: why it is ERROR: ``exit-code``, ``exception``, ``signal``, ``walltime``,
            ``memory``, ``node-failure``, ``lost``, ``rejected``, ``missing-module``,
            ``dependency``.
        message: the same for a person.
        exit_code: of the program, where there was one and it ended by itself.
        signal: what ended the process, where a signal did.
        started: when it started to run, in seconds since 1970.
        finished: when it ended.
        peak_memory: the most memory it had resident, in bytes: of its largest process, or of all together
            where the backend has watched that.
        cpu_time: seconds that its processes have computed, user and system.
        read_bytes: bytes that its processes have read, from whatever file, pipe or socket.
        written_bytes: bytes that they have written.
        peak_gpu_memory: the most bytes that its processes were seen to have on GPUs, all together.
        host: where it ran.
        attempt: 1, and one more for each time that the engine started it anew.
        value: what it returned, pickled; or an `anyjob.sdk.LocalValue`, in the process that it ran in.
        exception: what it raised, pickled; or a `LocalException`, in the process that it ran in.
        exception_types: the names of the type of that and of its bases: ``ConnectionError``,
            ``requests.exceptions.Timeout``.
        traceback: where it raised that, as text.
        cost: what it has cost, in ``currency``, where the engine tells.
        currency: what the cost is counted in: ``USD``, or a unit of the engine's own, such as ``credits``.
        lost_result: the id of the job whose result its engine has lost, where it has not run since.
    """

    status: JobStatus
    reason: str | None = None
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    started: float | None = None
    finished: float | None = None
    peak_memory: int | None = None
    cpu_time: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    peak_gpu_memory: int | None = None
    host: str = ""
    attempt: int = 1
    value: Any = None
    exception: Any = None
    traceback: str = ""
    cost: float | None = None
    currency: str = ""
    exception_types: tuple[str, ...] = ()
    lost_result: str = ""


class Attempt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One attempt of a job.

    Args:
        number: 1 for the first.
        status: where it is, or how it has ended.
        reason: why it has failed, as that of an `Outcome`.
        exit_code: of the program, where there was one and it ended by itself.
        message: what is said of its end.
        started: when it started to run, in seconds since 1970.
        ended: when it ended.
        host: where it ran.
        usage: what it has used, as far as that is known: ``cpu_time`` in seconds, and ``peak_memory``,
            ``read_bytes``, ``written_bytes`` and ``peak_gpu_memory`` in bytes.
        logs: the files with what it wrote, by stream; empty where there are none on this side.
        followed_by: why there was another attempt: ``retry``, ``requeue``, ``lost``, or ``dependency``,
            where its engine could not start it after others, and it can be; empty for the last.
    """

    number: int
    status: JobStatus
    reason: str | None = None
    exit_code: int | None = None
    message: str = ""
    started: float | None = None
    ended: float | None = None
    host: str = ""
    usage: dict[str, float] = {}
    logs: dict[str, str] = {}
    followed_by: str = ""


class LocalValue:
    """Stands in an `anyjob.Outcome` for a value that this process alone can give; others are pickled bytes.

    It is for a value that cannot be pickled, or that lies elsewhere until somebody wants it: then a subclass
    has ``value`` as a property. In the ledger it is pickled, so it is for backends that are not durable.

    Args:
        value: what `result()` returns, each time the same object.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class KeptByBackend(str):
    """Stands in an outcome for a value that stays with its backend until somebody asks for the result.

    It is kept in the ledger as it is.

    Args:
        key: whatever the backend needs to find it.
    """

    __slots__ = ()

    def __new__(cls, key: str) -> KeptByBackend:  # noqa: D102 - it is for its signature
        return super().__new__(cls, key)


class LocalException(LocalValue):
    """Stands in an `anyjob.Outcome` for an exception of this process, with its cause and its frames.

    Args:
        value: the exception; its traceback is what it has each time that it is raised.
    """

    __slots__ = ("_traceback",)

    def __init__(self, value: BaseException) -> None:
        super().__init__(value)
        self._traceback = value.__traceback__

    def exception(self) -> BaseException:
        """Return the exception, without the frames that it passed when it was raised here before."""
        error: BaseException = self.value
        return error.with_traceback(self._traceback)

    def __reduce__(self) -> Any:
        return LocalException, (self.value,)

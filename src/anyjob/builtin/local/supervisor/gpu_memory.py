"""The most memory of their GPUs that jobs have had, as far as the driver tells: it is asked while some run.

It is asked in a thread, and here, where a driver that hangs or crashes ends no job: the keeper has others.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec

from anyjob.standalone import gpu_memory


class GpuMemory:
    """The jobs that run and have GPUs. Without the package ``nvidia-ml-py`` it does nothing."""

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}
        self._over: threading.Event | None = None

    def begin(self, job_id: str) -> None:
        """A job that has GPUs runs."""
        self._peaks.setdefault(job_id, 0)
        if self._over is not None or find_spec("pynvml") is None:
            return
        self._over = threading.Event()
        watching = threading.Thread(
            target=gpu_memory.watch, args=(self._note, self._over), name="gpu-memory", daemon=True
        )
        watching.start()

    def end(self, job_id: str) -> int | None:
        """A job has ended: return the most bytes that it was seen to have; None for none."""
        peak = self._peaks.pop(job_id, 0)
        if self._over is not None and not self._peaks:
            self._over.set()
            self._over = None
        return peak or None

    def _note(self, job_id: str, size: int) -> None:
        if size > self._peaks.get(job_id, size):
            self._peaks[job_id] = size

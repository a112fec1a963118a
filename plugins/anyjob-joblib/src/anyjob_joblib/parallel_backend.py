"""The parallel backend, as joblib wants it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib.parallel import AutoBatchingMixin, ParallelBackendBase

import anyjob
from anyjob_joblib.array_files import ArrayFiles
from anyjob_joblib.throttle import Throttle

UNKNOWN_SLOTS = 100
"""What ``n_jobs=-1`` is where a backend does not say how many jobs it runs at a time, as clusters do not."""
OF_THIS_PROCESS = ("inline", "threads")
"""Backends whose calls see the caller's own objects."""


class AnyjobBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs the batches of calls that joblib makes as jobs of a backend of anyjob, ``n_jobs`` at a time.

    Args:
        run_on: the backend, or its name; None: the default one. By its name, `local` has its workers make
            call after call, as joblib's own do: what a call imports is imported once.
        resources: what each job needs and what it is called: see `anyjob.Resources`.

    Raises:
        AnyjobError: as `anyjob.Executor` does.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(
        self,
        run_on: str | anyjob.BaseBackend | None = None,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        **resources: Any,
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._backend: Any = _warm(run_on) if run_on is None or isinstance(run_on, str) else run_on
        self._executor = anyjob.Executor(self._backend, **{"name": "joblib", **resources})
        self._throttle = Throttle(self._executor, 1)
        self._last = threading.local()
        if self._backend.capabilities.durable:  # whose jobs cost more than a message to a process
            self.MIN_IDEAL_BATCH_DURATION, self.MAX_IDEAL_BATCH_DURATION = 1.0, 10.0
        self._files: ArrayFiles | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many jobs run at a time; a negative number counts from what the backend has."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or n_jobs > 0:
            return n_jobs or 1
        slots = getattr(self._backend, "slots", None) or getattr(self._backend.options, "slots", None)
        return max(int(slots or UNKNOWN_SLOTS) + 1 + n_jobs, 1)

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        *,
        max_nbytes: int | None = None,
        mmap_mode: str | None = "r",
        temp_folder: str | None = None,
        **_of_others: Any,
    ) -> int:
        """Take what the coming calls are to be run with."""
        self.parallel = parallel
        found = self.effective_n_jobs(n_jobs)
        shares = self._backend.capabilities.shared_files and self._backend.type_name not in OF_THIS_PROCESS
        if shares and max_nbytes is not None and mmap_mode is not None:
            self._files = ArrayFiles(temp_folder or self._shared_directory(), max_nbytes, mmap_mode)
            self._throttle = Throttle(self._executor, found, self._files.packed)
        else:
            self._throttle = Throttle(self._executor, found)
        return found

    def _shared_directory(self) -> str:
        """Return a directory that the jobs see, too."""
        on_this_machine = self._backend.type_name == "local" or not self._backend.capabilities.durable
        return tempfile.gettempdir() if on_this_machine else str(self._backend.spool_root)

    def submit(
        self, func: Callable[[], Any], callback: Callable[[Future[Any]], Any] = lambda future: None
    ) -> None:
        """Run a batch of calls, and then call back."""
        self._throttle.submit(func, callback)

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Return what a batch has returned, or raise what it has raised."""
        self._last.seconds, value = out.result()
        return value

    def batch_completed(self, batch_size: int, duration: float) -> None:
        """Learn how long a batch took: what it computed, since batches are to outweigh what a job costs.

        joblib calls this after `retrieve_result_callback`, in the same thread, with the time since the
        batch was dispatched: by that, batches of a backend that takes long to start a job would never grow.
        """
        super().batch_completed(batch_size, self._last.seconds)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel what is under way: one call has failed, or the caller was interrupted."""
        self._throttle.cancel()

    def stop_call(self) -> None:
        """All has ended: let go of the files."""
        if self._files is not None:
            self._files.remove()

    def terminate(self) -> None:
        """Forget how long batches took."""
        self.reset_batch_stats()


def _warm(name: str | None) -> Any:
    """Return a backend, with workers that are used again where it has a choice."""
    backend: Any = anyjob.get_backend(name)
    if getattr(backend.options, "isolation", None) != "fork":
        return backend
    return anyjob.get_backend(backend.name(), isolation="reuse")

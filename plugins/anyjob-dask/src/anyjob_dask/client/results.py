"""Where results of jobs are kept on this side: what they wrote, and large values or references to these."""

from __future__ import annotations

import functools
import os
import pickle
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyjob import JobFailedError, StateError, Ticket
from anyjob.sdk import write_private
from anyjob_dask.client.connection import SchedulerConnection
from anyjob_dask.serialization import LARGE, FileReference, Serialized

VALUE_FILE = "value.pickle"


class ResultStore:
    """Directories of jobs: those of durable ones below the spool, others in one that is removed with this.

    Args:
        durable_directory: gives the directory of a durable job; None where jobs are not durable.
        connection: to the cluster, where large values of jobs stay that are not durable.
        when_forgotten: has a function called once nobody holds a handle on a job any more.
    """

    def __init__(
        self,
        durable_directory: Callable[[str], Path] | None,
        connection: SchedulerConnection,
        when_forgotten: Callable[[str, Callable[[], Any]], None],
    ) -> None:
        self._durable_directory = durable_directory
        self._connection = connection
        self._when_forgotten = when_forgotten
        self._lock = threading.Lock()
        self._temporary: Path | None = None
        self._owner = os.getpid()
        _stores[id(self)] = self

    def directory(self, job_id: str) -> Path | None:
        """Return the directory of a job; None where nothing is kept of it."""
        if self._durable_directory is not None:
            path = self._durable_directory(job_id)
        else:
            temporary = self._temporary
            if temporary is None:
                return None
            path = temporary / job_id
        return path if path.exists() else None

    def _make_directory(self, job_id: str) -> Path:
        if self._durable_directory is not None:
            path = self._durable_directory(job_id)
        else:
            with self._lock:
                if self._temporary is None:
                    self._temporary = Path(tempfile.mkdtemp(prefix="anyjob-dask-"))
                path = self._temporary / job_id
            if not path.exists():
                self._when_forgotten(job_id, functools.partial(shutil.rmtree, path, ignore_errors=True))
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def pickled_value(self, ticket: Ticket, value: Serialized) -> bytes:
        """Return a value, pickled; of one that is large a reference to it: into a file, or the cluster."""
        if value.blob and not value.buffers and value.nbytes <= LARGE:
            return value.blob
        if self._durable_directory is not None:
            return pickle.dumps(FileReference(str(self.write(ticket, VALUE_FILE, value))))
        return pickle.dumps(ClusterReference(id(self), self._owner, ticket.native_id))

    def write(self, ticket: Ticket, name: str, data: bytes | Serialized) -> Path:
        """Write a file into the directory of a job.

        Raises:
            StateError: it cannot be written.
        """
        try:
            path = self._make_directory(ticket.job_id) / name
            if isinstance(data, Serialized):
                data.write(path)
            else:
                write_private(path, data)
        except OSError as error:
            setting = "TMPDIR" if self._durable_directory is None else "the option `spool`"
            raise StateError(
                f"cannot write {error.filename or name}: {error.strerror or error}; set {setting} to a "
                "directory that can be written"
            ) from error
        return path

    def fetch(self, key: str) -> Any:
        """Return the value of a task that has stayed in the cluster.

        Raises:
            JobFailedError: it is there no more.
        """
        result = self._connection.gather([key]).get(key)
        if result is None:
            raise JobFailedError(f"the result {key} is not in the cluster any more", reason="lost")
        return result.value.load()

    def close(self) -> None:
        """Remove what need not outlive us."""
        with self._lock:
            directory, self._temporary = self._temporary, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


class ClusterReference:
    """A reference to a value that has stayed in the cluster. Unpickled, it is that value."""

    def __init__(self, store: int, process: int, key: str) -> None:
        self.arguments = store, process, key

    def __reduce__(self) -> Any:
        return _fetch, self.arguments


def _fetch(store: int, process: int, key: str) -> Any:
    found = _stores.get(store) if process == os.getpid() else None
    if found is None:
        raise JobFailedError(f"the result {key} was in a cluster that has ended", reason="lost")
    return found.fetch(key)


_stores: weakref.WeakValueDictionary[int, ResultStore] = weakref.WeakValueDictionary()

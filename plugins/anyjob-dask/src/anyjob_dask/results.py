"""Where what came of jobs is kept on this side: what they wrote, and large values."""

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
from typing import Any, Protocol

from anyjob.errors import JobFailedError
from anyjob.execution import spool
from anyjob.ledger.statedir import cannot_write
from anyjob.orders import Ticket
from anyjob_dask.serialization import LARGE, Serialized, Stored

VALUE = "value.parcel"


class Cluster(Protocol):
    """Who has values that have stayed in the cluster."""

    def fetch(self, key: str) -> Any:
        """Return one of them."""


class ResultStore:
    """Directories of jobs: those of durable ones below the spool, others in a directory that goes with us.

    Args:
        root: gives the spool; None where jobs are not durable.
        cluster: who has values that have stayed there.
        when_forgotten: has a function called once nobody holds a handle on a job any more.
    """

    def __init__(
        self,
        root: Callable[[], Path] | None,
        cluster: Cluster,
        when_forgotten: Callable[[str, Callable[[], Any]], None],
    ) -> None:
        self._root = root
        self._when_forgotten = when_forgotten
        self._lock = threading.Lock()
        self._directory: Path | None = None
        self._cluster = id(cluster)
        self._owner = os.getpid()
        _clusters[self._cluster] = cluster

    def place(self, job_id: str) -> Path | None:
        """Return the directory of a job; None where nothing is kept of it."""
        if self._root is not None:
            place = spool.path_of(self._root(), job_id)
        else:
            directory = self._directory
            if directory is None:
                return None
            place = directory / job_id
        return place if place.exists() else None

    def _made(self, job_id: str) -> Path:
        """Make the directory of a job, where it is not there yet."""
        if self._root is not None:
            place = spool.path_of(self._root(), job_id)
        else:
            with self._lock:
                if self._directory is None:
                    self._directory = Path(tempfile.mkdtemp(prefix="anyjob-dask-"))
                place = self._directory / job_id
            if not place.exists():
                self._when_forgotten(job_id, functools.partial(shutil.rmtree, place, ignore_errors=True))
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    def value(self, ticket: Ticket, value: Serialized) -> bytes:
        """Return a value, pickled, or what stands for one that is large."""
        if value.blob and not value.buffers and value.nbytes <= LARGE:
            return value.blob
        if self._root is not None:
            return pickle.dumps(Stored(str(self.keep(ticket, VALUE, value))))
        return pickle.dumps(Fetched(self._cluster, self._owner, ticket.native_id))

    def keep(self, ticket: Ticket, name: str, data: bytes | Serialized) -> Path:
        """Keep a file in the directory of a job.

        Raises:
            StateError: it cannot be written.
        """
        try:
            path = self._made(ticket.job_id) / name
            if isinstance(data, Serialized):
                data.write(path)
            else:
                _write(path, data)
        except OSError as error:
            raise cannot_write(Path(error.filename or name), error) from error
        return path

    def close(self) -> None:
        """Remove what need not outlive us."""
        with self._lock:
            directory, self._directory = self._directory, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


class Fetched:
    """Stands for a value that has stayed in the cluster. Unpickled, it is that value."""

    def __init__(self, backend: int, process: int, key: str) -> None:
        self.found = backend, process, key

    def __reduce__(self) -> Any:
        return _fetch, self.found


def _fetch(backend: int, process: int, key: str) -> Any:
    made = _clusters.get(backend) if process == os.getpid() else None
    if made is None:
        raise JobFailedError(f"the result {key} was in a cluster that has ended", reason="lost")
    return made.fetch(key)


_clusters: weakref.WeakValueDictionary[int, Cluster] = weakref.WeakValueDictionary()


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as stream:
        stream.write(data)

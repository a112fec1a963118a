"""Large arrays go to jobs as files that these map into their memory, each written once a call of Parallel."""

from __future__ import annotations

import io
import pickle
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import joblib


class ArrayFiles:
    """The files of one call of Parallel, in a directory of their own, which is made with the first of them.

    Args:
        where: where the directory is made: here and where the jobs run.
        smallest: bytes of an array from which it becomes a file.
        mode: how it is mapped: ``r``, ``r+``, ``w+`` or ``c``, as `numpy.memmap` has it.
    """

    def __init__(self, where: str | Path, smallest: int, mode: str) -> None:
        self._where, self._smallest, self._mode = Path(where), smallest, mode
        self._directory: Path | None = None
        self._files: dict[int, tuple[Any, Path]] = {}  # with the array, so that its id is not another's
        self._lock = threading.RLock()

    def packed(self, work: Any) -> Packed:
        """Return a call with files in place of its large arrays."""
        buffer = io.BytesIO()
        _Pickler(buffer, self).dump(work)
        return Packed(buffer.getvalue())

    def path_of(self, array: Any) -> Path | None:
        """Return the file of an array, and write it where there is none yet; None for one that is small."""
        if array.nbytes < self._smallest or array.dtype.hasobject:
            return None
        with self._lock:
            if id(array) not in self._files:
                if self._directory is None:
                    self._where.mkdir(parents=True, exist_ok=True)
                    self._directory = Path(tempfile.mkdtemp(prefix="joblib-", dir=self._where))
                path = self._directory / f"{len(self._files)}.pkl"
                joblib.dump(array, path)
                self._files[id(array)] = array, path
            return self._files[id(array)][1]

    def load_words(self, path: Path) -> tuple[Any, tuple[str, str]]:
        """Return how a job gets an array: what it calls, and with what."""
        return joblib.load, (str(path), self._mode)

    def remove(self) -> None:
        """Remove the files: what has mapped one keeps it."""
        with self._lock:
            self._files.clear()
            directory, self._directory = self._directory, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    def __init__(self, buffer: io.BytesIO, files: ArrayFiles) -> None:
        super().__init__(buffer)
        self._files = files
        numpy = sys.modules.get("numpy")
        self._arrays = (numpy.ndarray, numpy.memmap) if numpy is not None else ()

    def reducer_override(self, obj: Any) -> Any:
        """Replace large arrays."""
        if type(obj) in self._arrays and (path := self._files.path_of(obj)) is not None:
            return self._files.load_words(path)
        return super().reducer_override(obj)


class Packed:
    """A call as bytes, which is unpacked where it runs."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __call__(self) -> Any:
        """Make the call."""
        return pickle.loads(self._data)()

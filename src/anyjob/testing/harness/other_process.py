"""A function that is called in another process, with a harness made there."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

START = 60.0
"""Seconds that a process may take until it calls the function: to start, and to import what that needs."""


class OtherProcess:
    """A function that runs in another process. A context manager, at whose end the process is killed.

    What it prints can be read from ``process.stdout``, line by line.

    Args:
        make_harness: makes there what the function is about.
        function: called with that.
        arguments: more that it is called with, by name.
    """

    def __init__(
        self, make_harness: Callable[[], Any], function: Callable[..., Any], arguments: Mapping[str, Any]
    ) -> None:
        import cloudpickle

        self._directory = tempfile.TemporaryDirectory(prefix="anyjob-other-process-")
        directory = Path(self._directory.name)
        self._answer = directory / "answer"
        (directory / "task").write_bytes(cloudpickle.dumps((make_harness, function, dict(arguments))))
        self._begun, begun = os.pipe()  # closed there as the function is called
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "anyjob.testing.harness.child_process", str(directory), str(begun)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[begun],
            )
        finally:
            os.close(begun)

    def value(self, timeout: float) -> Any:
        """Wait for the end of the function, and return its value.

        Args:
            timeout: seconds to wait, from when it is called there.

        Raises:
            AssertionError: it raised, with what it raised, or did not end in time.
        """
        select.select([self._begun], [], [], START)
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(
                f"another process did not come to an end within {timeout:g} s\n{out}{err}"
            ) from None
        if not self._answer.exists():
            raise AssertionError(f"another process ended with code {self.process.returncode}\n{out}{err}")
        has_returned, value = pickle.loads(self._answer.read_bytes())
        if not has_returned:
            raise AssertionError(f"in another process: {value}")
        return value

    def kill(self) -> None:
        """Kill the process at once, as ``kill -9`` does."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> OtherProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        os.close(self._begun)
        self._directory.cleanup()

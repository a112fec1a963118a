"""Runs a scheduler's programs: with a time limit, and with errors that say what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from anyjob.batch.dialect import Dialect, Row
from anyjob.errors import BackendAuthError, BackendError, BackendUnavailableError
from anyjob.process.forks import in_each_process

CALLERS = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LD_LIBRARY_PATH", "KRB5CCNAME", "TERM")
"""Variables that a scheduler, or bash, sets anyhow: the caller's go before."""


MINUTE = 60.0


class CompletedProgram(NamedTuple):
    """What came of a program."""

    name: str
    returncode: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """All that it has printed: some complain on stdout."""
        return f"{self.stdout}\n{self.stderr}"


class TimedOut(BackendUnavailableError):
    """A program has not ended within its time limit: what it was to do may have been done."""


class Programs:
    """A scheduler's programs, as they are found and run for one cluster.

    Args:
        dialect: says what they complain of.
        options: those of the backend: ``programs``, ``timeout``, and what the dialect knows.
    """

    def __init__(self, dialect: Dialect, options: Any) -> None:
        self.dialect = dialect
        self.directory: Path | None = options.programs
        self.timeout: float = options.timeout
        self._variables = dict(dialect.variables(options))

    @property
    def cluster(self) -> tuple[str, ...]:
        """What tells one cluster from another: the programs, and the variables that select it."""
        environ = {**os.environ, **self._variables}
        named = {*self.dialect.cluster_variables, *self._variables}
        selected = [f"{name}={environ[name]}" for name in sorted(named) if name in environ]
        return self.dialect.title, str(self.directory or environ.get("PATH", "")), *selected

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that the programs get: none of an enclosing job's."""
        kept = {name: value for name, value in environ.items() if not is_foreign(self.dialect, name)}
        return {**kept, **self._variables}

    def submitting_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that the program gets which submits: few, where it hands them on."""
        variables = self.environment(environ)
        if not self.dialect.passes_environment:
            return variables
        few = {*CALLERS, *self.dialect.cluster_variables}
        return {name: value for name, value in variables.items() if name in few}

    def run(
        self, command: Sequence[str], stdin: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> CompletedProgram:
        """Run a program to its end, with these variables, or with those for one that asks.

        Raises:
            BackendError: there is no such program.
            TimedOut: it has not ended within the time limit.
        """
        name = command[0]
        if variables is None:
            variables = self.environment(os.environ)
        path = shutil.which(name, path=self.directory or variables.get("PATH", os.defpath))
        if path is None:
            where = f"in {self.directory}" if self.directory else "on PATH"
            raise BackendError(
                f"`{name}` of {self.dialect.title} is not {where}: is this a machine of the cluster? Load "
                "its module, or set the option `programs` to the directory that has it"
            )
        try:
            # In a session of its own, so that the Ctrl-C that ends us does not end it half way.
            process = subprocess.Popen(
                [path, *command[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=variables,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise BackendError(f"cannot run {path}: {getattr(error, 'strerror', None) or error}") from error
        try:
            output = process.communicate(stdin, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise TimedOut(
                f"`{name}` of {self.dialect.title} has not answered within {self.timeout:g} s "
                "(option `timeout`)"
            ) from None
        finally:
            _end(process)
        stdout, stderr = (text.decode("utf-8", "surrogateescape") for text in output)
        return CompletedProgram(name, process.returncode, stdout, stderr)

    def message(self, done: CompletedProgram) -> str:
        """Return in one line what a program complains of."""
        return (
            self.dialect.error_message(done.stderr)
            or (done.returncode and self.dialect.error_message(done.stdout))
            or f"exit code {done.returncode}"
        )

    def query(self, command: Sequence[str]) -> str:
        """Run a program that answers a question, and return what it prints.

        Raises:
            BackendError: there is no such program.
            BackendAuthError: the cluster does not believe who we are.
            BackendUnavailableError: it gave no answer.
        """
        done = self.run(command)
        if says(self.dialect.nothing, done):
            return ""
        if done.returncode == 0 and not says(self.dialect.away, done):
            return done.stdout
        raise self.error(done)

    def read(self, reader: Callable[[str], Iterable[Row]], text: str, name: str) -> list[Row]:
        """Return the rows that the dialect reads out of what a program has printed.

        Raises:
            BackendUnavailableError: it cannot.
        """
        try:
            return list(reader(text))
        except BackendUnavailableError:
            raise
        except Exception as error:
            dialect = type(self.dialect)
            raise BackendUnavailableError(
                f"the dialect of {self.dialect.title} ({dialect.__module__}.{dialect.__qualname__}) cannot "
                f"read what `{name}` prints: {type(error).__name__}: {error}"
            ) from error

    def error(self, done: CompletedProgram) -> BackendError:
        """Return the error for a program that has failed, however that is to be taken."""
        if says(self.dialect.denied, done):
            return BackendAuthError(
                f"the cluster of {self.dialect.title} refuses `{done.name}`: {self.message(done)}"
            )
        return BackendUnavailableError(
            f"`{done.name}` of {self.dialect.title} has failed: {self.message(done)}"
        )


class Budget:
    """Lets so many through in any minute, of all threads of this process; others wait for their turn.

    Args:
        clock: tells the time in seconds.
        sleep: waits for so many.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._taken: deque[float] = deque()
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.Lock()

    def take(self, most: int) -> None:
        """Wait until fewer than so many were taken in the minute before, and take one."""
        while (pause := self._pause(most)) > 0:
            self._sleep(pause)

    def _pause(self, most: int) -> float:
        with self._lock:
            now = self._clock()
            while self._taken and self._taken[0] <= now - MINUTE:
                self._taken.popleft()
            if len(self._taken) < most:
                self._taken.append(now)
                return 0.0
            return self._taken[len(self._taken) - most] + MINUTE - now


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program that has not ended by itself, if we may: one with the set-user-ID bit is not ours."""
    if process.returncode is not None:
        return
    with suppress(PermissionError):
        process.kill()
    # It is not waited for here: a program that hangs, and may not be ended, would have us hang.
    threading.Thread(target=process.communicate, daemon=True).start()


def says(phrases: Sequence[str], done: CompletedProgram) -> bool:
    """Whether a program complains in one of these phrases; what is right is printed without them."""
    text = done.text if done.returncode else done.stderr
    return any(phrase in text for phrase in phrases)


def is_foreign(dialect: Dialect, name: str) -> bool:
    """Whether a variable is of an enclosing job, or changes what programs print."""
    if name in dialect.cluster_variables:
        return False
    return any(fnmatchcase(name, pattern) for pattern in dialect.foreign_variables)

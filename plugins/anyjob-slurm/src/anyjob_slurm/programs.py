"""Runs Slurm's programs: with a time limit, and with errors that say what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from anyjob import BackendAuthError, BackendError, BackendUnavailableError
from anyjob_slurm.parsing import error_message
from anyjob_slurm.sbatch import program_environment

UNREACHABLE = (
    "Unable to contact slurm controller",
    "Slurm backup controller in standby mode",
    "Unable to establish controller machine",
    "Unable to establish configuration source",
    "fetch_config: DNS SRV lookup failed",
)
"""Errors after which nothing was submitted: the controller is not there."""
UNCERTAIN = (
    "Socket timed out",
    "Zero Bytes were transmitted or received",
    "Unexpected message received",
    "Connection reset by peer",
    "Slurm temporarily unable to accept job",
)
"""Errors after which the controller may have received the request, or not."""
UNAUTHORIZED = (
    "Invalid authentication credential",
    "Protocol authentication error",
    "Expired JWT",
    "Invalid JWT",
)
"""Errors of authentication."""


class CompletedProgram(NamedTuple):
    """What came of a program."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """What it complains of, in one line."""
        return error_message(self.stderr) or f"exit code {self.returncode}"


class TimedOut(BackendUnavailableError):
    """A program has not ended within its time limit: what it was to do may have been done."""


class Programs:
    """Slurm's programs, as they are found and run for one cluster.

    Args:
        directory: where they are; None: on PATH.
        conf: the cluster's slurm.conf; None: as SLURM_CONF, or the programs, say.
        timeout: seconds that one may take.
    """

    def __init__(
        self, directory: Path | None = None, conf: Path | None = None, timeout: float = 60.0
    ) -> None:
        self.directory = directory
        self.conf = conf
        self.timeout = timeout

    def run(
        self, name: str, arguments: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> CompletedProgram:
        """Run a program to its end.

        Raises:
            BackendError: there is no such program.
            TimedOut: it has not ended within the time limit.
        """
        variables = program_environment(os.environ, self.conf) if env is None else env
        path = shutil.which(name, path=self.directory or variables.get("PATH", os.defpath))
        if path is None:
            where = f"in {self.directory}" if self.directory else "on PATH"
            raise BackendError(
                f"Slurm's `{name}` is not {where}: is this a machine of the cluster? Load Slurm's module, or "
                "set the option `programs` to the directory that has it"
            )
        try:
            # In a session of its own, so that the Ctrl-C that ends us does not end it half way.
            done = subprocess.run(
                [path, *arguments],
                input=stdin,
                capture_output=True,
                env=variables,
                timeout=self.timeout,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise TimedOut(
                f"Slurm's `{name}` has not answered within {self.timeout:g} s (option `timeout`)"
            ) from None
        except OSError as error:
            raise BackendError(f"cannot run {path}: {error.strerror or error}") from error
        stdout, stderr = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
        return CompletedProgram(done.returncode, stdout, stderr)

    def query(self, name: str, arguments: Sequence[str]) -> str:
        """Run a program that answers a question, and return what it prints.

        Raises:
            BackendError: there is no such program.
            BackendAuthError: the cluster does not believe who we are.
            BackendUnavailableError: it gave no answer.
        """
        done = self.run(name, arguments)
        if done.returncode == 0:
            return done.stdout
        raise program_error(name, done)


def program_error(name: str, done: CompletedProgram) -> BackendError:
    """Return the error for a program that has failed, however that is to be taken."""
    if any(message in done.stderr for message in UNAUTHORIZED):
        return BackendAuthError(f"the cluster refuses `{name}`: {done.message}")
    return BackendUnavailableError(f"Slurm's `{name}` has failed: {done.message}")

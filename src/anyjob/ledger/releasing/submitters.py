"""Who has submitted jobs that are handed to an engine later: the surroundings that a releaser finds again.

What the ledger has of it is the context of a bulk, and a file of mode 0600 with the variables. Bulks of the
same surroundings have one releaser.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from anyjob.errors import StateError
from anyjob.ledger.file.statedir import cannot_write
from anyjob.spool import environment_file
from anyjob.spool.private_files import open_private, write_private

if TYPE_CHECKING:
    from anyjob.ledger.encoding import Context
    from anyjob.ledger.store import Ledger

VOLATILE = frozenset((b"_", b"OLDPWD", b"SHLVL"))
"""Variables that differ from command to command of a shell, and mean nothing to a program."""


class Submitter(NamedTuple):
    """The surroundings of a process that has submitted jobs."""

    python: str
    path: tuple[str, ...]
    cwd: bytes
    variables: dict[bytes, bytes] | None
    """None where they are not known any more."""

    @property
    def key(self) -> str:
        """The same for all of the same surroundings, and for no others."""
        import hashlib

        known = self.variables
        variables = (
            None if known is None else sorted(pair for pair in known.items() if pair[0] not in VOLATILE)
        )
        return hashlib.sha256(repr((self.python, self.path, self.cwd, variables)).encode()).hexdigest()[:20]


class Submitters:
    """Those of the bulks of a ledger, as far as they were asked about.

    Args:
        ledger: the ledger.
        host: bulks that were submitted on other hosts are left to these.
    """

    def __init__(self, ledger: Ledger, host: str) -> None:
        self._ledger = ledger
        self._host = host
        self._keys: dict[int, str] = {}
        self.known: dict[str, Submitter] = {}
        """By their keys."""

    def key(self, bulk: int) -> str:
        """Return the key of who has submitted a bulk; empty where that was on another host.

        Raises:
            StateError: the ledger cannot be read.
        """
        if bulk not in self._keys:
            context = self._ledger.bulk(bulk)[0]
            if context.host not in ("", self._host):
                self._keys[bulk] = ""
            else:
                submitter = read(context)
                self._keys[bulk] = key = submitter.key
                self.known[key] = submitter
        return self._keys[bulk]


def read(context: Context) -> Submitter:
    """Return who has submitted the jobs of a context."""
    try:
        with open_private(context.environment) as stream:
            variables: dict[bytes, bytes] | None = environment_file.decode(stream.read())[0]
    except (OSError, StateError, ValueError):
        variables = None
    return Submitter(context.python, context.path, context.cwd, variables)


def keep_environment(state: Path) -> str:
    """Keep the variables of this process in a file of mode 0600; return its path.

    Raises:
        StateError: it cannot be written.
    """
    path = state / "env" / os.urandom(10).hex()
    try:
        write_private(path, environment_file.encode(os.environb))
    except OSError as error:
        raise cannot_write(path, error) from error
    return str(path)

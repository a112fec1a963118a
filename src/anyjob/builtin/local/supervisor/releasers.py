"""The releasers: processes that hand jobs, which have waited for others, to the engines of other backends.

A supervisor loads no plugins. So it starts, in the surroundings that such jobs were submitted in, a process
that does; and another one, when that was killed.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.keeper.launch.environments import without_marks
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.paths import RuntimePaths, program_environment
from anyjob.errors import AnyjobError
from anyjob.ledger.releasing.releases import Releases
from anyjob.ledger.releasing.submitters import Submitter, Submitters
from anyjob.ledger.store import Ledger
from anyjob.status import backoff

if TYPE_CHECKING:
    import subprocess

POLL = 1.0
"""Seconds between two looks into the ledger while there is something to be released, at least."""
SHARE = 0.02
"""The share of the time that such looks may take, at most; to start a releaser is no part of one."""
AT_ONCE = 4
"""Releasers that run at a time, at most: the others have their turn."""
LONGEST = 60.0
"""Seconds after which a releaser that does not start is tried again, at most."""


class Releasers:
    """Sees to it that there is a releaser as long as there is something to release.

    Args:
        ledger: where that stands.
        paths: where their locks and errors are.
    """

    def __init__(self, ledger: Ledger, paths: RuntimePaths) -> None:
        self._ledger = ledger
        self._paths = paths
        self._releases = Releases(ledger, paths.host)
        self._submitters = Submitters(ledger, paths.host)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._failed: dict[str, tuple[int, float]] = {}
        self._waiting: set[int] = set()
        self._due = 0.0

    @property
    def are_waiting(self) -> bool:
        """Whether any jobs that this host is to hand to an engine waited when the ledger was looked into."""
        return bool(self._waiting)

    @property
    def pause(self) -> float:
        """How long until the next look is due, in seconds."""
        return max(0.0, self._due - time.monotonic())

    def look_soon(self, delay: float = 0.0) -> None:
        """There may be something to release."""
        self._due = min(self._due, time.monotonic() + delay)

    def check(self, others_wait: bool) -> None:
        """Look into the ledger, if that is due, and start who is missing.

        Args:
            others_wait: whether jobs of this host wait for others: these may be an engine's.

        Raises:
            StateError: it cannot be read.
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._reap()
        waiting = {bulk for bulk in self._releases.waiting() if self._submitters.key(bulk)}
        self._clean_up(self._waiting - waiting)
        self._waiting = waiting
        wanted = []
        if waiting or others_wait:
            wanted = list(dict.fromkeys(map(self._submitters.key, self._releases.due())))
        took = time.monotonic() - now
        for key in filter(None, wanted):
            self._start(key)
        if waiting or others_wait or self._running:
            self._due = time.monotonic() + max(POLL, took / SHARE)
        else:
            self._due = math.inf

    def _reap(self) -> None:
        for key, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[key]
            if code > 0:
                self._has_failed(key)
            else:
                self._failed.pop(key, None)

    def _has_failed(self, key: str) -> None:
        failures = self._failed.get(key, (0, 0.0))[0] + 1
        self._failed[key] = failures, time.monotonic() + backoff(failures, ceiling=LONGEST)

    def _start(self, key: str) -> None:
        if key in self._running or len(self._running) >= AT_ONCE:
            return
        if self._failed.get(key, (0, 0.0))[1] > time.monotonic():
            return
        if lock_holder(self._paths.releaser_lock(key)) is not None:
            return  # it was started by a supervisor before
        try:
            self._running[key] = self._spawn(key, self._submitters.known[key])
        except (AnyjobError, OSError) as error:
            log_error(f"a releaser cannot be started: {error}")
            self._has_failed(key)

    def _spawn(self, key: str, submitter: Submitter) -> subprocess.Popen[bytes]:
        import subprocess

        from anyjob.execution.interpreter import spawn_interpreter

        if submitter.variables is None:
            variables = program_environment()
        else:
            kept = without_marks(submitter.variables)
            variables = {os.fsdecode(name): os.fsdecode(value) for name, value in kept.items()}
        arguments = self._paths.arguments_of("anyjob.releaser.main", submitter.path)
        errors = os.open(
            self._paths.logs / "releaser.err",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
        try:
            if os.fstat(errors).st_size > 1 << 20:
                os.ftruncate(errors, 0)
            cwd = os.fsdecode(submitter.cwd)
            return spawn_interpreter(
                [*arguments, "--key", key],
                python=submitter.python,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=cwd if os.path.isdir(cwd) else "/",
                start_new_session=True,
            )
        finally:
            os.close(errors)

    def _clean_up(self, bulks: set[int]) -> None:
        """Remove the variables that were kept for bulks of which nothing waits any more."""
        for bulk in bulks:
            with suppress(AnyjobError, OSError):
                context = self._ledger.bulk(bulk)[0]
                if context.host and context.environment:
                    os.unlink(context.environment)

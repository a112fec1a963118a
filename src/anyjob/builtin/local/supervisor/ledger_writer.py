"""Writes to the ledger what happens to jobs: what happens within a moment in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.jobs.orders import remove_own_variables
from anyjob.ledger.encoding import make_writable
from anyjob.ledger.end_effects import EndEffects, NextAttempt
from anyjob.ledger.rows import GPUS
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.spool import job_spool
from anyjob.status import JobStatus

PACE = 0.005
"""Seconds between two writes to the ledger, while jobs run: what happens meanwhile is written together."""
SLOWEST = 4
"""So many times as long, at most, where as many have ended meanwhile: a write, and to tell of it, costs the
same however many it is of."""


class LedgerWriter:
    """What has happened to jobs and is not in the ledger yet.

    Args:
        ledger: where it is written.
        paths: where spools are.
        bulks: what the jobs of a bulk share.
        on_written: called with the ids of the jobs that have ended, and of those that are somewhere else,
            once the ledger has them.
        on_released: called with the number of a backend that has jobs which may start now that others have
            ended.
        on_again: called with the jobs of which an attempt has ended, and that go again.
    """

    def __init__(
        self,
        ledger: Ledger,
        paths: RuntimePaths,
        bulks: Bulks,
        on_written: Callable[[Sequence[str], Sequence[str]], None],
        on_released: Callable[[int], None],
        on_again: Callable[[Sequence[NextAttempt]], None],
    ) -> None:
        self._ledger = ledger
        self._paths = paths
        self._bulks = bulks
        self._on_written = on_written
        self._on_released = on_released
        self._on_again = on_again
        self._untold: list[str] = []
        self._moved: dict[str, tuple[str, JobStatus, int, float | None]] = {}
        self._ended: dict[str, tuple[Outcome, int]] = {}
        self._noted: dict[str, str] = {}
        self._to_clean: dict[int, list[str]] = {}
        self._due = 0.0

    @property
    def is_pending(self) -> bool:
        """Whether there is something to be written."""
        return bool(self._moved or self._ended or self._noted or self._to_clean or self._untold)

    @property
    def ended(self) -> list[str]:
        """The jobs whose end is not written yet."""
        return list(self._ended)

    @property
    def pause(self) -> float:
        """How long until the next write is due, in seconds."""
        return max(0.0, self._due - time.monotonic())

    def end(self, job_id: str, outcome: Outcome, bulk: int) -> None:
        """A job has ended."""
        self._moved.pop(job_id, None)
        self._ended[job_id] = outcome, bulk

    def move(self, job_id: str, status: JobStatus, attempt: int, started: float | None) -> None:
        """A job runs, or is queued again."""
        self._moved[job_id] = job_id, status, attempt, started

    def note_gpus(self, job_id: str, devices: Sequence[str]) -> None:
        """A job runs, and has these GPUs: it stands with it for a person."""
        self._noted[job_id] = " ".join(devices)

    def write(self) -> None:
        """Write what has happened.

        Raises:
            StateError: it cannot be written, or what the jobs needed cannot be looked up; it is kept.
        """
        moved, ended, noted = self._moved, self._ended, self._noted
        again: list[str] = []

        def write() -> EndEffects:
            if moved:
                self._ledger.moved(moved.values())
            for job_id, gpus in noted.items():
                self._ledger.note(job_id, GPUS, gpus)
            return self._ledger.settle({job_id: outcome for job_id, (outcome, _) in ended.items()})

        if moved or ended or noted:
            try:
                effects = self._ledger.transaction(write)
            except (TypeError, ValueError):
                for job_id, (outcome, bulk) in ended.items():
                    ended[job_id] = make_writable(outcome), bulk
                effects = self._ledger.transaction(write)
            self._moved, self._ended, self._noted = {}, {}, {}
            self._due = time.monotonic() + PACE * min(max(1, len(ended)), SLOWEST)
            again = [*(each.job_id for each in effects.again), *effects.stale]
            for job_id in again:
                del ended[job_id]
            self._note_ended((job_id, bulk) for job_id, (_, bulk) in ended.items())
            self._follow(effects)
        try:
            self._clean_up()
        finally:  # whatever comes of that, the ledger has them
            self._tell([*ended], [*moved, *again])

    def cancel(self, job_ids: Sequence[str], finished: float) -> dict[str, int]:
        """Write that jobs are cancelled that wait, in one transaction; return the attempts of those, by id.

        Nobody is told of them; of those that end by that, or may start now, all are at the next write.

        Raises:
            StateError: it cannot be written: then none of them is.
        """
        self.write()  # else one would count as waiting that has ended
        cancelled, effects = self._ledger.cancel_queued(job_ids, self._paths.host, finished)
        self._note_ended((job_id, bulk) for job_id, bulk, _ in cancelled)
        self._follow(effects)
        return {job_id: attempt for job_id, _, attempt in cancelled}

    def follow(self, ended: Sequence[tuple[str, int]]) -> None:
        """Jobs, by id and bulk, have ended in the ledger, since others did: all are told soon."""
        self._follow(EndEffects([*ended]))

    def _follow(self, effects: EndEffects) -> None:
        self._note_ended(effects.ended)
        self._untold += [job_id for job_id, _ in effects.ended]
        for backend in {backend for _, backend in effects.released}:
            self._on_released(backend)
        if effects.again:
            self._on_again(effects.again)

    def _tell(self, ended: list[str], moved: list[str]) -> None:
        untold, self._untold = self._untold, []
        if ended or moved or untold:
            self._on_written(ended + untold, moved)

    def _note_ended(self, ended: Iterable[tuple[str, int]]) -> None:
        for job_id, bulk in ended:
            self._to_clean.setdefault(bulk, []).append(job_id)

    def _clean_up(self) -> None:
        """Remove the variables of jobs that have ended."""
        while self._to_clean:
            bulk, job_ids = next(iter(self._to_clean.items()))
            own = job_ids if self._bulks.get(bulk).has_own_variables else ()
            try:
                for job_id in own:
                    remove_own_variables(str(job_spool.path_of(self._paths.spool, job_id)))
                self._bulks.jobs_ended(bulk, len(job_ids))
            except OSError as error:
                log_error(error)  # `anyjob prune` may have more luck
            del self._to_clean[bulk]

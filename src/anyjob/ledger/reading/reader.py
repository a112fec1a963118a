"""What is read of the ledger: jobs, what they were handed, and the backends that they were given to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from anyjob.errors import StateError
from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.reading.queries import JOINED, Search
from anyjob.ledger.rows import (
    FINAL,
    OPEN,
    BackendRow,
    Row,
    Summary,
    of_column,
    status_of,
)
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from anyjob.ledger.encoding import Context
    from anyjob.ledger.once import KeyedJob
    from anyjob.ledger.reading.attempt_reader import AttemptReader
    from anyjob.ledger.reading.dependency_reader import DependencyReader
    from anyjob.ledger.reading.graph_reader import JobGraph
    from anyjob.ledger.reading.queue_reader import QueueReader


class LedgerReader:
    """Reads the ledger below a state directory; its methods raise `StateError` where it cannot be read.

    What few ask for is read by objects of its own, which are imported then: most programs only list jobs.
    """

    def __init__(self, file: LedgerFile) -> None:
        self.file = file
        self.state = file.state
        self.path = file.path

    @property
    def exists(self) -> bool:
        """Whether anything was ever written: asking does not make the file."""
        return self.file.exists

    @cached_property
    def attempts(self) -> AttemptReader:
        """The attempts of jobs that were followed by others, or are to be."""
        from anyjob.ledger.reading.attempt_reader import AttemptReader

        return AttemptReader(self.file)

    @cached_property
    def dependencies(self) -> DependencyReader:
        """What starts after what."""
        from anyjob.ledger.reading.dependency_reader import DependencyReader

        return DependencyReader(self.file)

    @cached_property
    def queue(self) -> QueueReader:
        """What waits, and for whom: what its supervisor reads of a queue that is in the ledger."""
        from anyjob.ledger.reading.queue_reader import QueueReader

        return QueueReader(self.file)

    def graph(self, job_ids: Sequence[str]) -> JobGraph:
        """Return the jobs that are tied to these, near or far, by what starts after what.

        It is as at one moment, whatever happens meanwhile.
        """
        from anyjob.ledger.reading.graph_reader import GraphReader

        return GraphReader(self.file).graph(job_ids)

    def keyed(self, keys: Sequence[bytes]) -> dict[bytes, KeyedJob]:
        """Return for those of these keys under which a job was submitted which that is."""
        from anyjob.ledger.once import keyed

        return keyed(self.file, keys)

    def rows(self, job_ids: Sequence[str]) -> dict[str, Row]:
        """Return what is known of these jobs, by id; those that are not known are left out."""
        found: dict[str, Row] = {}
        for some in chunks(job_ids):
            for values in self.file.read(f"{JOINED} WHERE j.id IN ({placeholders(some)})", some):
                found[values[1]] = Row.read(values)
        return found

    def by_prefix(self, prefix: str, limit: int = 10) -> list[str]:
        """Return ids that begin with a prefix."""
        sql = "SELECT id FROM jobs WHERE id >= ? AND id < ? LIMIT ?"
        return [row[0] for row in self.file.read(sql, (prefix, prefix + "g", limit))]  # ids are hexadecimal

    def by_native_id(self, backend: int, native_id: str) -> str | None:
        """Return our id of the job that a backend knows by this id, or of which this is our id."""
        found = self.file.read("SELECT id FROM jobs WHERE id = ? AND backend = ?", (native_id, backend))
        found = found or self.file.read(
            "SELECT id FROM jobs WHERE native_id = ? AND native_id <> id AND backend = ? "
            "ORDER BY n DESC LIMIT 1",
            (native_id, backend),
        )
        return found[0][0] if found else None

    def with_native_id(self, native_id: str, limit: int = 10) -> list[str]:
        """Return our ids of the jobs that some backend knows by this id."""
        sql = "SELECT id FROM jobs WHERE native_id = ? AND native_id <> id LIMIT ?"
        return [row[0] for row in self.file.read(sql, (native_id, limit))]

    def select(
        self,
        *,
        name: str | None = None,
        states: Sequence[JobStatus] | None = None,
        backends: Sequence[int] | None = None,
        tags: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        since: float | None = None,
        before: float | None = None,
        limit: int | None = None,
        superseded: bool = True,
        blocked: bool = False,
    ) -> list[Row]:
        """Return the newest jobs that fit, oldest first.

        Args:
            name: of this name.
            states: in one of these.
            backends: given to one of the backends of these numbers.
            tags: with all of these.
            parameters: with all of these values of axes of a job file.
            since: submitted at this time or later, in seconds since 1970.
            before: ended before this time.
            limit: how many at most.
            superseded: those that were run anew, too.
            blocked: of those that are QUEUED only those that may not start before others have ended.
        """
        search = Search(
            self.file.read,
            name=name,
            states=states,
            backends=backends,
            tags=tags,
            parameters=parameters,
            since=since,
            before=before,
            limit=limit,
            superseded=superseded,
            blocked=blocked,
        )
        return self.file.at_once(search.rows)

    def superseded_by(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return for those of these jobs that were run anew the job that each was run anew as, by id."""
        return self._reruns("o.id, j.id", "o.id", job_ids)

    def rerun_of(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return for those of these jobs that run another anew which that is, by id."""
        return self._reruns("j.id, o.id", "j.id", job_ids)

    def _reruns(self, columns: str, key: str, job_ids: Sequence[str]) -> dict[str, str]:
        sql = f"SELECT {columns} FROM reruns r JOIN jobs j ON j.n = r.n JOIN jobs o ON o.n = r.original"
        return {
            row[0]: row[1]
            for some in chunks(job_ids)
            for row in self.file.read(f"{sql} WHERE {key} IN ({placeholders(some)})", some)
        }

    def ended_before(self, before: float) -> list[str]:
        """Return the ids of the jobs that ended before a time, oldest first.

        Those are left out that others start after which have not ended: they may need what these have left.
        """
        sql = (
            f"SELECT j.id FROM jobs j WHERE j.state >= {FINAL} AND j.finished < ? AND NOT EXISTS ("
            "SELECT 1 FROM dependencies d CROSS JOIN dependents g ON g.n = d.dependent "
            "CROSS JOIN jobs o ON o.n BETWEEN g.n AND g.last "
            f"WHERE d.prerequisite = j.n AND o.state < {FINAL}) ORDER BY j.n"
        )
        return [row[0] for row in self.file.read(sql, (before,))]

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state that has any, by its name."""
        found = self.file.read("SELECT state, count(*) FROM jobs GROUP BY state")
        counted: dict[str, int] = {}
        for code, number in found:
            name = status_of(code).name
            counted[name] = counted.get(name, 0) + number
        return counted

    def open_counts(self) -> dict[int, dict[str, int]]:
        """Return how many jobs of each backend, by its number, are in each state that is not final."""
        sql = (
            "SELECT b.n, j.state, count(*) FROM backends b CROSS JOIN jobs j INDEXED BY jobs_state "
            f"ON j.backend = b.n AND j.state IN ({OPEN}) GROUP BY b.n, j.state"
        )
        found: dict[int, dict[str, int]] = {}
        for backend, code, number in self.file.read(sql):
            counted, name = found.setdefault(backend, {}), status_of(code).name
            counted[name] = counted.get(name, 0) + number
        return found

    def open_children(self, job_ids: Sequence[str]) -> list[str]:
        """Return the jobs that these have submitted, and that have not ended."""
        from anyjob.ledger.encoding import decode_context

        wanted = frozenset(job_ids)
        is_open = "SELECT DISTINCT bulk FROM jobs WHERE backend IN (SELECT n FROM backends) AND state < ?"
        bulks = self.file.read(f"SELECT n, context FROM bulks WHERE n IN ({is_open})", (FINAL,))
        of_bulk = (
            "SELECT j.id FROM bulks k CROSS JOIN jobs j ON j.n BETWEEN k.first AND k.last "
            "WHERE k.n = ? AND +j.state < ?"
        )
        return [
            job_id
            for n, context in bulks
            if decode_context(context).parent in wanted
            for (job_id,) in self.file.read(of_bulk, (n, FINAL))
        ]

    def settings(self, backend: int) -> dict[str, Any]:
        """Return the options that were set for a backend, which hold in place of its own."""
        found = self.file.read("SELECT options FROM settings WHERE backend = ?", (backend,))
        if not found:
            return {}
        import json

        options: dict[str, Any] = json.loads(found[0][0])
        return options

    def open_environments(self) -> set[str]:
        """Return the environment files of the bulks that have jobs which have not ended."""
        bulks = self.file.read(
            "SELECT DISTINCT j.bulk FROM backends b CROSS JOIN jobs j INDEXED BY jobs_state "
            f"ON j.backend = b.n AND j.state IN ({OPEN})"
        )
        return {self.bulk(row[0])[0].environment for row in bulks}

    def bulk(self, number: int) -> tuple[Context, str, bytes | None]:
        """Return what the jobs of a bulk share: context, native kind, shared payload."""
        from anyjob.ledger.encoding import decode_context

        found = self.file.read("SELECT context, native, shared FROM bulks WHERE n = ?", (number,))
        if not found:
            raise StateError(f"bulk {number} is not in the ledger {self.path} any more")
        context, native, shared = found[0]
        return decode_context(context), native, shared

    def contexts(self, bulks: Sequence[int]) -> dict[int, Context]:
        """Return what the jobs of these bulks run in, by the numbers of the bulks."""
        from anyjob.ledger.encoding import decode_context

        return {
            number: decode_context(context)
            for some in chunks(bulks)
            for number, context in self.file.read(
                f"SELECT n, context FROM bulks WHERE n IN ({placeholders(some)})", some
            )
        }

    def tags_of(self, bulks: Sequence[int]) -> dict[int, dict[str, str]]:
        """Return the tags that the jobs of these bulks have, by the numbers of the bulks that have any."""
        found: dict[int, dict[str, str]] = {}
        for some in chunks(bulks):
            sql = f"SELECT bulk, key, value FROM tags WHERE bulk IN ({placeholders(some)})"
            for bulk, key, value in self.file.read(sql, some):
                found.setdefault(bulk, {})[of_column(key)] = of_column(value)
        return found

    def tags(self, bulk: int) -> dict[str, str]:
        """Return the tags that the jobs of a bulk have."""
        found = self.file.read("SELECT key, value FROM tags WHERE bulk = ?", (bulk,))
        return {of_column(key): of_column(value) for key, value in found}

    def names(self, limit: int) -> list[str]:
        """Return the names that jobs have, the newest first."""
        sql = "SELECT name FROM bulks WHERE name <> '' GROUP BY name ORDER BY max(n) DESC LIMIT ?"
        return [of_column(row[0]) for row in self.file.read(sql, (limit,))]

    def known_tags(self, limit: int) -> list[tuple[str, str]]:
        """Return the tags that jobs have, the newest first."""
        sql = "SELECT key, value FROM tags GROUP BY key, value ORDER BY max(bulk) DESC LIMIT ?"
        return [(of_column(key), of_column(value)) for key, value in self.file.read(sql, (limit,))]

    def work(self, job_id: str) -> tuple[bytes | None, bytes | None]:
        """Return a job's native payload, and the pickled spec that it was lowered from."""
        sql = "SELECT w.payload, w.spec FROM jobs j JOIN work w ON w.n = j.n WHERE j.id = ?"
        found = self.file.read(sql, (job_id,))
        return found[0] if found else (None, None)

    def notes(self, job_id: str) -> dict[str, str]:
        """Return what plugins noted of a job when it was submitted."""
        import json

        sql = "SELECT o.notes FROM jobs j JOIN notes o ON o.n = j.n WHERE j.id = ?"
        found = self.file.read(sql, (job_id,))
        return json.loads(found[0][0]) if found else {}

    def summaries(self, job_ids: Sequence[str]) -> dict[str, Summary]:
        """Return for a person what these jobs are, by id; those of which nothing is written are left out."""
        import json

        sql = "SELECT j.id, s.work, s.parameters FROM jobs j JOIN summaries s ON s.n = j.n"
        return {
            job_id: Summary(work, json.loads(parameters))
            for some in chunks(job_ids)
            for job_id, work, parameters in self.file.read(
                f"{sql} WHERE j.id IN ({placeholders(some)})", some
            )
        }

    def spools(self) -> set[Path]:
        """Return the directories below which jobs have theirs: our own, and those of the option ``spool``."""
        from anyjob.spool import job_spool

        options = [row.own_options for row in self.backend_rows().values()]
        configured = {known["spool"] for known in options if isinstance(known.get("spool"), str)}
        return {job_spool.root(self.state, path) for path in (None, *configured)}

    def backend_row(self, number: int) -> BackendRow:
        """Return which backend has this number."""
        found = self.backend_rows().get(number)
        if found is None:
            raise StateError(f"backend {number} is not in the ledger {self.path} any more")
        return found

    def last_number(self) -> int:
        """Return the highest number that a job here was ever given: it only grows."""
        found = (
            self.file.read("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'", ()) if self.exists else []
        )
        return int(found[0][0]) if found else 0

    def backend_rows(self) -> dict[int, BackendRow]:
        """Return the backends that jobs were given to, by their numbers."""
        import json

        sql = "SELECT n, fingerprint, label, type, distribution, options, host FROM backends"
        return {
            number: BackendRow(fingerprint, label, type_name, distribution, json.loads(options), host)
            for number, fingerprint, label, type_name, distribution, options, host in self.file.read(sql, ())
        }

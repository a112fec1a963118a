"""What the jobs of a backend were handed, as the ledger and the spool keep it."""

from __future__ import annotations

import functools
import pickle
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyjob.errors import JobError
from anyjob.ledger.encoding import Context, decode_resources
from anyjob.ledger.file.statedir import cannot_write
from anyjob.ledger.rows import ATTACHED, NewJob, Summary
from anyjob.ledger.store import Ledger
from anyjob.resources import Resources
from anyjob.runtime.lowering import lower_along
from anyjob.serialization.pickling import PickledCall, dump, dump_call
from anyjob.specs import Call, Spec, file_fields, files_in
from anyjob.spool import job_spool
from anyjob.text.brief import in_a_line
from anyjob.tracking.records import JobRecord

LARGE = 1 << 20
"""Bytes from which a job's payload is kept in its spool, not in the ledger."""
BULKS = 16
"""Bulks that are remembered while their jobs are read back."""


class StoredWork:
    """The work of one durable backend's jobs: what is written of it, and read back."""

    def __init__(self, ledger: Ledger, spool_root: Path, backend: Any, *, durable: bool) -> None:
        self._ledger, self._spool, self._backend, self._durable = ledger, spool_root, backend, durable
        self._bulks: OrderedDict[int, Bulk] = OrderedDict()

    def pack(self, records: Sequence[JobRecord]) -> tuple[bytes | None, list[NewJob]]:
        """Return what these jobs share, which are of one kind, and what each has for itself.

        Raises:
            SerializationError: something in the work cannot be pickled.
            StateError: what is large cannot be written.
        """
        chains = [record.specs for record in records]
        first = chains[0][-1]
        describe = self._backend.services.job_type(records[0].kind).describe
        has_files = any(map(file_fields, map(type, chains[0])))
        shared = None
        if (
            isinstance(first, Call)
            and not isinstance(first, PickledCall)
            and all(getattr(chain[-1], "fn", None) is first.fn for chain in chains)
        ):
            shared = dump(first.fn, first)
        jobs = []
        for record, chain in zip(records, chains, strict=True):
            original, native = chain[0], chain[-1]
            if isinstance(native, PickledCall):
                payload = native.pickled  # the variables of its own go with the order
            elif isinstance(native, Call):
                # What a call has of its own beside these three goes after them, where it has something.
                own = (native.env, native.cwd) if native.env or native.cwd else ()
                given = (native.args, native.kwargs, *own)
                if shared:
                    payload = dump(given, native)
                else:
                    payload = dump((native.fn, *given), native) if own else dump_call(native)
            else:
                payload = dump(native, native)
            kept: bytes | None = payload
            if len(payload) > LARGE:
                self._keep(record.job_id, payload)
                kept = None
            if has_files:
                written = (native,) if original is native else (original, native)
                for held in {file.sha256 for each in written for file in files_in(each)} - {""}:
                    self._hold(record.job_id, held)
            spec = None if original is native else dump(original, original)
            what = Summary(in_a_line(describe, original), record.parameters)
            job = NewJob(record.job_id, kept, spec, record.notes or {}, record.rerun_of, what, record.after)
            jobs.append(job._replace(started_by_engine=True) if record.kept else job)
        return shared, jobs

    def _keep(self, job_id: str, payload: bytes) -> None:
        try:
            job_spool.write_payload(self._spool, job_id, payload, durable=self._durable)
        except OSError as error:
            raise cannot_write(job_spool.path_of(self._spool, job_id), error) from error

    def _hold(self, job_id: str, sha256: str) -> None:
        from anyjob.runtime.recording.content_store import ContentStore

        directory = job_spool.path_of(self._spool, job_id)
        ContentStore(self._ledger.state).hold(sha256, directory, durable=self._durable)

    def load(self, job_id: str, bulk: int) -> tuple[tuple[Spec, ...], Resources]:
        """Read back a job's work, as it was handed over and as it was lowered, and its resources.

        Raises:
            StateError: it is not known any more.
            JobError: a module that it is made of cannot be imported here.
        """
        known = self._bulk(bulk)
        try:
            return self._specs(job_id, known), known.resources
        except ImportError as error:
            raise JobError(
                f"what job {job_id} was handed cannot be read by {sys.executable}: {error}; it was "
                f"submitted by {known.python}"
            ) from error

    def _specs(self, job_id: str, known: Bulk) -> tuple[Spec, ...]:
        if known.native == ATTACHED:
            return ()
        payload, original = self._ledger.work(job_id)
        if original is not None:
            return lower_along(
                pickle.loads(original),
                known.route,
                self._backend.services.job_type,
                shared_files=self._backend.capabilities.shared_files,
            )
        if payload is None:
            payload = job_spool.read_payload(self._spool, job_id)
        if known.native != "python":
            return (pickle.loads(payload),)
        if known.shared is not None:
            return (Call(known.fn, *pickle.loads(payload)),)
        return (Call(*pickle.loads(payload)),)

    def _bulk(self, number: int) -> Bulk:
        bulk = self._bulks.get(number)
        if bulk is None:
            bulk = self._bulks[number] = Bulk(*self._ledger.bulk(number))
            if len(self._bulks) > BULKS:
                self._bulks.popitem(last=False)
        return bulk


class Bulk:
    """What the jobs of a bulk have in common."""

    def __init__(self, context: Context, native: str, shared: bytes | None) -> None:
        self.route = context.route
        self.python = context.python
        self.native = native
        self.resources = decode_resources(context.resources)
        self.shared = shared

    @functools.cached_property
    def fn(self) -> Any:
        """The function that its calls share."""
        return None if self.shared is None else pickle.loads(self.shared)

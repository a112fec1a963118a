"""The type ``local``: a queue on this machine, with jobs that outlive the process that submits them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from anyjob.backend import Capabilities
from anyjob.builtin.local import process_attributes
from anyjob.builtin.local.client import SupervisorClient
from anyjob.builtin.local.options import LocalOptions
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.errors import BackendUnavailableError, ConfigError, JobRejectedError
from anyjob.ledger.encoding import Context, outcome_of
from anyjob.ledger.file.statedir import cannot_write
from anyjob.ledger.rows import BLOCKED, DUE, FINAL, Row
from anyjob.orders import Answer, Observation, Order, Ticket, Unsure
from anyjob.outcome import Outcome
from anyjob.process.reporting import report
from anyjob.resources import Resources, total_cpus
from anyjob.runtime.recording.context import current_context
from anyjob.runtime.recording.ledger_recorder import LedgerRecorder
from anyjob.spool import environment_file, job_spool
from anyjob.spool.environment_file import JOB_FILE, OWN_SUFFIX
from anyjob.spool.outcomes import FORGOTTEN
from anyjob.spool.private_files import read_range, sync_directories, write_private
from anyjob.status import JobStatus
from anyjob.taskbackend import TaskBackend
from anyjob.tracking.records import JobRecord

if TYPE_CHECKING:
    from anyjob.builtin.local.machine.settings import Settings

GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd")
"""What is there where there may be GPUs, of NVIDIA's and of AMD's."""
SHARED = 60.0
"""Seconds for which other bulks, too, are given an environment: one that is old may be removed."""


class LocalBackend(TaskBackend):
    """Type ``local``: the embedded default.

    Jobs go by way of the ledger to a supervisor of this user and host, which is started by the first
    ``run`` that finds none. They run on when the process that submitted them ends.
    """

    Options = LocalOptions
    accepts = frozenset({"command", "python"})
    capabilities = Capabilities(
        durable=True,
        shared_files=True,
        find=True,
        logs=True,
        notifies=True,
        call_environment=True,
        output_files=True,
        controls=True,
        tasks=True,
        gpu_shares=True,
        gpu_memory=True,
        needs=True,
    )
    floor = 0
    queues_in_ledger = True
    mixes_resources = True
    takes_large_files = True
    runs_again = True
    tells_walltime = True

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        if sys.platform != "linux":
            raise ConfigError(
                f"a backend of type `local` needs Linux, and this is {sys.platform}: use `processes`, whose "
                "jobs end with this process, as by ANYJOB_BACKEND=processes"
            )
        super().__init__(configuration, provider, options=options or LocalOptions())
        self._lazy_paths: RuntimePaths | None = None
        self._have_own_variables = self._has_told_host = False
        self._last_environment = Path(), b"", 0.0
        self._seen_ended: dict[str, Row] = {}
        self._unheard = False

    def share(self, resources: Mapping[str, int]) -> None:
        """Have these together with the other backends of this machine, unless it has been told otherwise."""
        if not self.options.shared:
            self.options = msgspec.structs.replace(self.options, shared=dict(resources))

    @property
    def _paths(self) -> RuntimePaths:
        if self._lazy_paths is None:
            self._lazy_paths = RuntimePaths(self.services.ledger.state)
        return self._lazy_paths

    @property
    def _is_durable(self) -> bool:
        return bool(self.options.durability == "full")

    @property
    def _client(self) -> SupervisorClient:
        client: SupervisorClient | None = vars(self).get("_made_client")
        if client is None:
            made = self._make_client()
            client = vars(self).setdefault("_made_client", made)  # another thread may make one meanwhile
        return client

    def _make_client(self) -> SupervisorClient:
        tracker = self._tracker
        given: dict[str, Any] = {}
        if b"ANYJOB_KEEPER" in os.environb:  # we are part of a job
            from anyjob.builtin.local.own_job import OwnJob

            made = OwnJob(self._paths.state, lambda: tracker.has_waiting_callers)
            own_job = vars(self).setdefault("_own_job", made)  # one, though two clients may be made
            tracker.tell_of_waits(own_job.update)
            given["on_connected"] = own_job.connected
        return SupervisorClient(
            self._paths, self._changed, self._check_all, tracker.waits, self.options.python, **given
        )

    def _changed(self, ended: list[str], moved: list[str]) -> None:
        if not self.services.watches:  # then few want to know more than that a job has ended
            moved = self._tracker.waited_for(moved)
        self.notify(ended + moved)

    def _check_all(self) -> None:
        self.notify(self.open_ids())

    def context(self, route: tuple[str, ...], resources: Resources) -> Context:
        """Keep the environment that jobs get in a file of mode 0600, until the last of them has ended.

        Raises:
            JobRejectedError: a job asks for more than there is.
            BackendUnavailableError: there is no supervisor, and none can be started.
            StateError: it cannot be written.
        """
        gpus, variables = self._find_room(route[-1], resources)
        # Once the ledger has the jobs, they are as good as started: so who runs them is sought before.
        self._client.open()
        path = self._paths.environments / (
            os.urandom(10).hex() + (OWN_SUFFIX if self._have_own_variables else "")
        )
        content = environment_file.encode({**os.environb, **variables}, process_attributes.current())
        try:
            self._keep_environment(path, content)
            if self._is_durable:
                sync_directories(self._paths.state)
        except OSError as error:
            raise cannot_write(path, error) from error
        context = current_context(route, resources, environment=str(path), python=self.options.python)
        return msgspec.structs.replace(context, gpus=gpus) if gpus else context

    def _keep_environment(self, path: Path, content: bytes) -> None:
        """Write an environment; one that is as the last was is that file by another name, and read once."""
        last, last_content, written = self._last_environment
        if content == last_content and time.monotonic() - written < SHARED:
            with suppress(OSError):  # its jobs have ended, it has too many names, the disk knows none
                os.link(last, path)
                if self._is_durable:
                    sync_directories(path.parent)
                return
        write_private(path, content, durable=self._is_durable)
        self._last_environment = path, content, time.monotonic()

    def _find_room(
        self, kind: str, resources: Resources
    ) -> tuple[tuple[tuple[str, int], ...], Mapping[bytes, bytes]]:
        """See to it that a job asks for nothing that is not here, and would wait for it for ever.

        Returns:
            the GPUs that it may have, with the memory of each, and the variables that it gets for that.

        Raises:
            JobRejectedError: it does.
        """
        told, has_gpus = self.options.gpus, False
        if told is None or told:
            has_gpus = told is not None or any(map(os.path.exists, GPU_DRIVERS))
        checks = has_gpus or self.options.shared
        asked = (resources.memory, resources.gpus, resources.gpu_memory, resources.nodes, resources.needs)
        if total_cpus(resources) == 1 and not any(asked) and not checks:
            return (), {}  # as most of them
        from anyjob.builtin.local.machine import feasibility, gpus

        try:
            found = feasibility.check(kind, resources, self._settings.current(), os.environ)
        except feasibility.NoRoom as error:
            raise JobRejectedError(f"backend {self.name()!r} would not take the job: {error}") from None
        if not found and not (has_gpus and self.options.hide_gpus):
            return (), {}
        variables = gpus.variables(os.environ, hidden=not found)
        return found, {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}

    def _order(self, record: JobRecord, options: Any) -> Order:
        """Return no more than `launch` reads: the supervisor makes its orders of what is in the ledger."""
        variables = self._given_variables(record)
        if variables:
            self._keep_variables(record.job_id, variables)
        return Order(
            job_id=record.job_id,
            spec=record.specs[-1],
            resources=record.resources,
            environment=variables,
            options=options,
        )

    def _keep_variables(self, job_id: str, variables: Mapping[str, str]) -> None:
        """Keep the variables that one job gets beside those of its bulk, in a file of mode 0600.

        Raises:
            StateError: it cannot be written.
        """
        self._have_own_variables = True
        encoded = {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
        directory = job_spool.path_of(self._paths.spool, job_id)
        path = directory / JOB_FILE
        try:
            write_private(path, environment_file.encode(encoded), durable=self._is_durable)
            if self._is_durable:
                sync_directories(directory.parent, self._paths.spool)
        except OSError as error:
            job_spool.remove(self._paths.spool, job_id)
            raise cannot_write(path, error) from error

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """The ledger holds the jobs already: have the supervisor look into it.

        Where it does not answer any more, these wait for the next one.
        """
        assert isinstance(self.recorder, LedgerRecorder)
        try:
            self._client.ask({"op": "rescan", "backend": self.recorder.number})
        except BackendUnavailableError:
            for order in orders:
                yield order, Unsure()
            return
        for order in orders:
            yield order, order.job_id

    def advance(self, job_ids: Sequence[str]) -> None:
        """Have the supervisor start and tell what follows; one that does not hear of it looks by itself."""
        if not self.other_host:
            self._client.ask({"op": "advance", "ids": list(job_ids)})

    def listen(self) -> None:
        """Have what changes told to this process; that nobody tells it, is reported once."""
        if self.other_host:
            if not self._has_told_host:
                self._has_told_host = True
                report(
                    "jobs of host %s are run there, and what came of them is told there: they are waited "
                    "for. If this machine was called so, or that one is gone for good, ANYJOB_HOST=%s has "
                    "them run here",
                    self.other_host,
                    self.other_host,
                )
            return
        try:
            self._client.open()
        except BackendUnavailableError as error:
            if not self._unheard:
                report("%s; those who wait go on, and it is tried again", error)
            self._unheard = True
            raise
        self._unheard = False

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Read the ledger: what is not there any more is nowhere."""
        rows = self.services.ledger.rows([ticket.job_id for ticket in tickets])
        # What has ended is collected next: it need not be read twice.
        self._seen_ended = {job_id: row for job_id, row in rows.items() if row.state >= FINAL}
        seen = {
            job_id: Observation(row.status, row.reason, attempt=row.attempt) for job_id, row in rows.items()
        }
        blocked = [job_id for job_id, row in rows.items() if row.state == BLOCKED]
        ledger = self.services.ledger
        for job_id, awaited in ledger.dependencies.awaited(blocked).items() if blocked else ():
            seen[job_id] = Observation(JobStatus.QUEUED, rows[job_id].reason, awaited.in_words())
        due = [job_id for job_id, row in rows.items() if row.state == DUE]
        for job_id, waiting in ledger.attempts.due(due).items() if due else ():
            words = waiting.in_words(time.time())
            seen[job_id] = Observation(JobStatus.QUEUED, None, words, attempt=waiting.attempt)
        forgotten = Observation(JobStatus.ERROR, "lost", FORGOTTEN)
        return {ticket.job_id: seen.get(ticket.job_id, forgotten) for ticket in tickets}

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Read the ledger."""
        seen = self._seen_ended
        ids = [ticket.job_id for ticket in tickets]
        missing = [job_id for job_id in ids if job_id not in seen]
        rows = self.services.ledger.rows(missing) if missing else {}
        found = {job_id: seen.get(job_id) or rows.get(job_id) for job_id in ids}
        return {
            job_id: outcome_of(row) for job_id, row in found.items() if row is not None and row.state >= FINAL
        }

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Ask the supervisor. What waited has ended by that, and it need not be asked about."""
        answer = self._client.ask({"op": "cancel", "ids": [ticket.job_id for ticket in tickets]})
        finished = answer["finished"]
        for job_id, attempt in answer["ended"].items():
            outcome = Outcome(status=JobStatus.CANCELLED, finished=finished, attempt=attempt)
            self._tracker.settle_by_id(job_id, outcome)
        return dict.fromkeys([*answer["accepted"], *answer["ended"]], True)

    def control(self, action: str, tickets: Sequence[Ticket], value: int | None = None) -> Mapping[str, bool]:
        """Ask the supervisor."""
        ids = [ticket.job_id for ticket in tickets]
        answer = self._client.ask({"op": "control", "action": action, "ids": ids, "value": value})
        return dict.fromkeys(answer["accepted"], True)

    def set_now(self) -> dict[str, Any]:
        """Return the options that were set by `set_options`, and hold in place of what is configured."""
        return self._settings.changed()

    @property
    def _settings(self) -> Settings:
        from anyjob.builtin.local.machine.settings import Settings

        assert isinstance(self.recorder, LedgerRecorder)
        return Settings(self.services.ledger, self.recorder.number, self.name(), self.options)

    def set_options(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change ``slots``, ``memory``, ``resources`` or ``limits`` for all who use this backend.

        That is while jobs run, too; what runs runs on. This holds until it is set anew, for this backend with
        the options that it is configured with.

        Args:
            changes: by name; ``None`` is what is configured, again.

        Returns:
            what is set now.

        Raises:
            ConfigError: an option cannot be changed so, or not to that.
            BackendUnavailableError: there is no supervisor, and none can be started.
        """
        found = self._settings.change(changes)
        self._adjust()
        return found

    def _adjust(self) -> None:
        """Have the supervisor read what is set now."""
        assert isinstance(self.recorder, LedgerRecorder)
        self._client.ask({"op": "adjust", "backend": self.recorder.number})

    def limits_now(self) -> Mapping[str, int]:
        """Return how many jobs may run at a time, by name, or by ``tag:KEY=VALUE``."""
        return self._settings.limits()

    def limit(
        self, name: str = "", most: int | None = None, *, tags: Mapping[str, str] | None = None
    ) -> Mapping[str, int]:
        """Have at most so many jobs of a name, or with each of these tags, run at a time; None: any number.

        It holds for all who use this backend, for what waits already, too, until it is set anew. What runs
        runs on.

        Returns:
            all limits that there are now.
        """
        if self._settings.limit(name, most, tags or {}):
            self._adjust()
        return self.limits_now()

    def find_gpus(self) -> list[dict[str, Any]]:
        """Return the GPUs that jobs may have which are submitted from here: ``id``, ``memory`` in bytes, 0
        where nobody knows, and ``number``.

        Raises:
            ConfigError: one that is told is not there.
        """
        from anyjob.builtin.local.machine import gpus

        try:
            found = gpus.available(self.options.gpus, self.options.gpu_memory, os.environ)
        except gpus.NoGpus:
            return []
        return [gpu._asdict() for gpu in found]

    def find_memory_limit(self) -> dict[str, Any]:
        """Return who holds jobs to their memory: ``by``, which is ``kernel`` or ``watch``, and ``words``."""
        from anyjob.builtin.local.keeper.processes.memory_groups import describe

        return describe(str(self._paths.logs))

    def find(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Our id is the native one."""
        return {job_id: job_id for job_id in self.services.ledger.rows(job_ids)}

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read from the job's spool."""
        return read_range(job_spool.path_of(self._paths.spool, ticket.job_id) / stream, offset)

    def close(self) -> None:
        """Close the connection; what runs runs on."""
        client: SupervisorClient | None = vars(self).pop("_made_client", None)
        if client is not None:
            client.close()
        super().close()

"""What the author of an engine's plugin writes and calls: the bulk interface between anyjob and an engine."""

from __future__ import annotations

import functools
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from anyjob import _typing as t
from anyjob.backend import BackendConfiguration, BaseBackend, Capabilities
from anyjob.errors import BackendError, ConfigError, JobError, SpecError, StateError, UnsupportedSpecError
from anyjob.orders import NO_OPTIONS, Answer, Observation, Options, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.process.forks import only_here
from anyjob.resources import Resources
from anyjob.retry import Retry, as_retry
from anyjob.runtime.recording.recorder import NO_RECORDER, Recorder
from anyjob.runtime.services import Services
from anyjob.runtime.submission.launch import launch_again
from anyjob.specs import Call
from anyjob.spool import job_spool
from anyjob.spool.private_files import read_range
from anyjob.status import JobStatus
from anyjob.tracking.records import JobRecord
from anyjob.tracking.tracker import Tracker

NEAR = 0.8
"""How alike a type of engine and another word must be for that to be meant, from 0 to 1."""
CONFIGURED_ALIKE = frozenset({"backend_version", "retries"})
"""What may be configured of a backend of any type, beside its own options."""


class EngineAdapter(BaseBackend):
    """The half of `anyjob.TaskBackend` that is about its engine."""

    Options: ClassVar[type[Any]] = Options
    JobOptions: ClassVar[type[Any]] = Options
    """What one job may be told beside its resources, by ``run(…, options={type: {…}})``: a msgspec struct.

    A field that ``Options`` has, too, is for a job that does not say as the backend has it.
    """
    accepts: ClassVar[frozenset[str]] = frozenset()
    capabilities: Capabilities = Capabilities()
    floor: ClassVar[float] = 0.5
    """Seconds between two questions to the engine, at least; 0 for one that answers from memory."""
    ceiling: ClassVar[float] = 30.0
    """Seconds between two questions to the engine while jobs are waited for, at most."""
    grace: ClassVar[float] = 60.0
    """Seconds that a job may be unknown to the engine before it is taken for lost."""
    retries: Retry | None = None
    """How often its jobs are run again that do not say, as it was configured."""
    queues_in_ledger: ClassVar[bool] = False
    """Whether the engine is of our own making, and reads and writes the ledger by itself."""
    runs_in_caller: ClassVar[bool] = False
    """Whether a job runs in the thread that submits it, before ``run`` returns."""
    runs_again: ClassVar[bool] = False
    """Whether it runs jobs again by itself that have failed, by their policies."""
    has_attempt_logs: ClassVar[bool] = False
    """Whether `attempt_logs` reads what each attempt wrote that it has run by itself."""
    why_no_more = ""
    """What is said behind ``accepts`` to who gives it other work, where an option has it accept no more."""
    tells_walltime = False
    """Whether it tells jobs that their walltime is near: ``signal_before``."""
    requeues = False
    """Whether its engine starts a job anew, under its id, that has reached its walltime: ``on_walltime``."""
    relaunches: ClassVar[bool] = False
    """Whether a job that was renounced can be launched anew: what the engine gets of it late does not run."""
    holds_results: ClassVar[bool] = False
    """Whether calls are made here, or by a child: `launch` gets references to the results of other jobs, with
    handles on those, among their arguments; they have ended by then."""
    finds_results: ClassVar[bool] = False
    """Whether calls are unpickled by `anyjob.sdk.runner.Results`, which knows the spool: references to files
    there are left to it."""
    part: ClassVar[int] = 0
    """Jobs that are written down at a time, where those before them are on their way meanwhile:
    `launch_parts` is given one part after the other. 0: all that are launched together are, before that."""
    takes_large_files: ClassVar[bool] = False
    """Whether it takes large files that go with a job from the job's directory, by their hash."""
    mixes_resources: ClassVar[bool] = False
    """Whether the orders of one launch may differ in ``resources`` and ``options``; else those that have the
    same are launched together."""
    mixes_names: ClassVar[bool] = False
    """Whether the orders of one launch may differ in their ``name`` and ``tags``, and in nothing else."""
    has_threads_to_spare: ClassVar[bool] = False
    """Whether the threads that tell of the end of jobs may be held by what they call."""
    distribution = ""
    """The distribution that this type of backend comes from, where a session knows."""
    type_name = ""
    """What it is registered as, or ``PROVIDER TYPE/BACKEND``; else the path of its class."""
    ledger_row: t.BackendRow | None = None
    """What it is for the ledger, where its own options do not tell: of a provider, or made anew."""
    other_host = ""
    """The host that it lives on, where that is another one: what is known of its jobs can be read here."""

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider)
        self.options: Any = options if options is not None else NO_OPTIONS
        self.services = Services()
        self._tracker = Tracker(self)
        self._recorder: Recorder | None = None
        self._default_job_options: Any = None  # what jobs are told that are told nothing of their own
        self.type_name = self.type_name or f"{type(self).__module__}:{type(self).__qualname__}"

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any], provider: Any = None) -> Self:
        """Make a backend of this type, with its options checked against its ``Options``.

        Raises:
            ConfigError: an option is unknown, missing or of the wrong type.
        """
        version = options.get("backend_version", "")
        alike = CONFIGURED_ALIKE.difference(cls.Options.__struct_fields__)
        checked: Any = None
        if not options:
            try:
                checked = cls.Options()
            except Exception:
                pass  # one is required: it is told below
        if checked is None:
            from anyjob.config.options import validate_options

            checked = validate_options(cls.Options, options, where=f"backend {name!r}", skip=alike)
        fields = {field: getattr(checked, field) for field in checked.__struct_fields__}
        made = cls(BackendConfiguration(name, version, **fields), provider, options=checked)
        try:
            made.retries = as_retry(options.get("retries")) if "retries" in alike else None
        except SpecError as error:
            raise ConfigError(f"backend {name!r}: {error}") from None
        return made

    def name(self) -> str:
        """Return what the session that made the backend calls it.

        Returns:
            the configured name, ``PROVIDER/BACKEND``, or its type. What its provider calls it is its
            configuration's ``backend_name``, which is also its name where no session has made it.
        """
        return self.configured_name or super().name()

    @property
    def in_words(self) -> str:
        """How errors begin that say what it cannot do."""
        return f"backend {self.name()!r}"

    @property
    def reruns_at_walltime(self) -> bool:
        """Whether jobs may ask to be run again that have reached their walltime: ``on_walltime``."""
        return self.runs_again or self.requeues

    # --- what the author of a plugin writes ---------------------------------------------------

    def learn_capabilities(self) -> None:
        """Ask for what depends on somebody else: called before it is handed work. It may block.

        It is for one whose ``capabilities`` are those of another backend.

        Raises:
            BackendError: it cannot be asked.
        """

    @abstractmethod
    def launch(self, orders: Sequence[Order]) -> Iterable[tuple[Order, Answer]]:
        """Hand orders to the engine; yield each with its native id as soon as that is known.

        The orders of one launch have the same ``resources`` and ``options``, unless it is said that
        ``mixes_resources``, or ``mixes_names``. Yields ``(order, Rejected(reason))`` for one that the engine
        will not take, and ``(order, Unsure())`` where it did not answer.
        """

    def launch_parts(self, parts: Iterable[Sequence[Order]]) -> Iterable[tuple[Order, Answer]]:
        """Hand orders to the engine as `launch` does: a part is written down when it is asked for."""
        for orders in parts:
            yield from self.launch(orders)

    @abstractmethod
    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Ask the engine where these jobs are. An id left out means 'not seen this time'."""

    @abstractmethod
    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Ask the engine to end these jobs; say for each whether it accepted."""

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Return what came of jobs; by default, what our `runner` left in their spools.

        It is asked about jobs that have ended, and about those that the engine does not know (any
        more). One of which nothing is known is left out.
        """
        found = {}
        for ticket in tickets:
            try:
                outcome = None if ticket.spool is None else job_spool.read_outcome(ticket.spool)
            except StateError as error:  # somebody has laid a file of theirs there
                outcome = Outcome(status=JobStatus.ERROR, reason="exception", message=str(error))
            if outcome is not None:
                found[ticket.job_id] = outcome
        return found

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the native ids of those jobs that the engine has."""
        return {}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """See to it that jobs which `find` does not find do not start any more.

        They are taken for lost next; or, where it ``relaunches``, those are launched anew that start after
        others and were about to be handed over by a process that was killed.

        Returns the native ids of those that turn out to have started.
        """
        return {}

    def attempt_logs(self, ticket: Ticket, stream: str, attempt: int, offset: int) -> bytes:
        """Return what one attempt wrote, from an offset on, where no file of this side has it."""
        return b""

    def keep_results(self, tickets: Sequence[Ticket]) -> Mapping[str, Any]:
        """Have the engine start what is launched next after these jobs by itself, with their results.

        So results stay where they are, and the work is launched at once: whether such a job has ended or not,
        the engine starts it after that, and not where that fails. Asked about jobs of this backend which have
        succeeded or not ended yet, and do not go again; those whose results are taken make calls.

        Returns for those of which that can be done whatever `launch` needs for it: in ``order.kept``, as long
        as that takes. What it stands for may not leave the engine meanwhile. Those left out are awaited, and
        their results given to the call as values. In the worker, `anyjob.sdk.runner.Results` unpickles the
        arguments of a call; `anyjob.sdk.runner.broken` is what is said of a job that has not succeeded, also
        where it is one of ``order.unused``: of those only that counts.
        """
        return {}

    def fetch_value(self, ticket: Ticket, kept: str) -> bytes:
        """Return the pickled value that an `anyjob.sdk.KeptByBackend` in an outcome stands for.

        Raises:
            BackendUnavailableError: the engine cannot be reached.
            JobError: it is gone.
        """
        raise JobError(f"backend {self.name()!r} keeps no results: that of job {ticket.job_id} is gone")

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Return what a job wrote from an offset on, at most some MiB at a time; empty: no more now."""
        if ticket.spool is None:
            return b""
        return read_range(ticket.spool / stream, offset)

    def notify(self, job_ids: Iterable[str]) -> None:
        """To be called when the engine was heard to say something of these jobs: a hint, no verdict."""
        self._tracker.hint(job_ids)

    def close(self) -> None:
        """Let go of what the backend holds. May be called twice."""
        self.is_closed = True
        for record in self._tracker.open_records():
            if record.held is not None:
                record.held.cancel()
            elif record.deferred and not self.capabilities.durable:
                self.recorder.cancel_deferred([record.job_id])
        self._tracker.close()

    def advance(self, job_ids: Sequence[str]) -> None:
        """Jobs of this backend, whose queue is in the ledger, may start or have ended by the end of others.

        Raises:
            BackendUnavailableError: it could not be told.
        """

    def listen(self) -> None:
        """Somebody waits for a job: what the engine tells is wanted from now on.

        It is called by the thread that watches, may be called often, and may block.
        """

    def end_idle_workers(self) -> None:
        """An `Executor` was shut down: what is kept warm for calls is of no use, as far as it knows."""

    def control(self, action: str, tickets: Sequence[Ticket], value: int | None = None) -> Mapping[str, bool]:
        """Hold, release, pause or resume jobs, or give them a priority, where `capabilities` say so.

        Args:
            action: ``hold``: one that waits does not start until ``release``; ``pause``: one that runs
                stands still until ``resume``; ``priority``: one that waits is given the ``value``.
            tickets: the jobs.
            value: the priority.

        Returns:
            True for each to which that was done.

        Raises:
            UnsupportedSpecError: it cannot.
        """
        from anyjob.runtime.job_control import control_in_words

        raise UnsupportedSpecError(f"{self.in_words} cannot {control_in_words(action, 'jobs')}")

    def limit(
        self, name: str = "", most: int | None = None, *, tags: Mapping[str, str] | None = None
    ) -> Mapping[str, int]:
        """Have at most so many jobs of a name, or with each of these tags, run at a time; None: any number.

        Raises:
            UnsupportedSpecError: it cannot.
        """
        raise UnsupportedSpecError(
            f"{self.in_words} cannot limit how many jobs of a name run at a time; `local` can"
        )

    def limits_now(self) -> Mapping[str, int]:
        """Return what limits there are now, by name, or by ``tag:KEY=VALUE``."""
        return {}

    def context(self, route: tuple[str, ...], resources: Resources) -> t.Context:
        """Return what is to be kept in the ledger of the process that submits."""
        from anyjob.runtime.recording.context import current_context

        return current_context(route, resources)

    def job_options(self, resources: Resources) -> Any:
        """Return the ``JobOptions`` of a job: what it was told for this type of engine, else the backend's.

        Called once for all jobs of a `run`, `run_many` or `map` that are given the same; their orders carry
        it as ``order.options``.

        Raises:
            SpecError: an option is unknown, missing or of the wrong type.
        """
        kind = self.type_name.partition("/")[0]
        given = resources.options.get(kind) or {}
        if resources.options and kind not in resources.options:
            _check_are_types(resources.options, self.name(), kind)
        if not given and self._default_job_options is not None:
            return self._default_job_options
        if not given and self.JobOptions is Options:
            return NO_OPTIONS
        from anyjob.config.options import validate_options

        where = f"options of the job for {kind!r}"
        try:
            made = validate_options(self.JobOptions, given, where=where, defaults=self.options)
        except ConfigError as error:
            raise SpecError(str(error)) from None
        if not given:
            self._default_job_options = made
        return made

    # --- what its author calls ----------------------------------------------------------------

    def open_ids(self) -> list[str]:
        """Return the ids of the jobs that this process knows of and that have not ended."""
        return self._tracker.open_ids()

    def open_tickets(self) -> list[Ticket]:
        """Return the tickets of the jobs that this process knows of and that have not ended.

        Only of those that the engine is known to have.
        """
        return [record.ticket() for record in self._tracker.open_records() if record.native_id is not None]

    def when_forgotten(self, job_id: str, call: Callable[[], object]) -> None:
        """Have a function called when nobody holds a handle on a job any more.

        It is for letting go of what is kept of the job. It is called at once where nobody does, else where
        the last handle is collected, in whatever thread: so it takes no locks. It is not called when the
        program ends.
        """
        self._tracker.when_forgotten(job_id, call)

    def job_directory(self, job_id: str) -> t.Path:
        """Return the directory of a job of a durable backend on this side, whether it is there or not.

        Where files are shared it is ``order.spool``. Else it is for what the backend fetches, such as
        ``stdout`` and ``stderr``; `anyjob prune` removes it.

        Raises:
            StateError: this is no id of a job.
        """
        return job_spool.path_of(self.spool_root, job_id)

    def recorded_outcomes(self, job_ids: Iterable[str]) -> dict[str, Outcome]:
        """Return what the ledger says came of jobs of a durable backend, as another process may have noted.

        Those that have not ended, as far as the ledger knows, are left out.

        Raises:
            StateError: the ledger cannot be read.
        """
        from anyjob.ledger.encoding import outcome_of
        from anyjob.ledger.rows import FINAL

        ours = {self._tracker.ours(attempt_id): attempt_id for attempt_id in job_ids}
        rows = self.services.ledger.rows(list(ours))
        return {ours[job_id]: outcome_of(row) for job_id, row in rows.items() if row.state >= FINAL}

    def ended_attempts(self, job_id: str) -> Sequence[tuple[int, str, Outcome]]:
        """Return of each attempt that was followed by another its number, why it was, and what came of it."""
        return self.recorder.ended_attempts(job_id)

    # --- how it is done -----------------------------------------------------------------------

    @property
    def spool_root(self) -> t.Path:
        """Below what the jobs have their directories: the option ``spool``, for a backend that has it."""
        return job_spool.root(self.services.ledger.state, getattr(self.options, "spool", None))

    @property
    def recorder(self) -> Recorder:
        """The ledger, as this backend writes it; one that is not durable writes nothing."""
        if self._recorder is None:
            if self.capabilities.durable:
                from anyjob.runtime.recording.ledger_recorder import LedgerRecorder

                self._recorder = LedgerRecorder(self.services.ledger, self)
            elif self.runs_again:
                self._recorder = NO_RECORDER
            else:
                from anyjob.runtime.recording.in_process_retries import InProcessRetries

                self._recorder = InProcessRetries(self)
        return self._recorder

    @property
    def keeps_results(self) -> bool:
        """Whether results may stay with the engine on their way from job to job."""
        return type(self).keep_results is not EngineAdapter.keep_results

    @property
    def answers_from_memory(self) -> bool:
        """Whether asking where jobs are costs nothing and never blocks: they live in this process."""
        return not self.floor and not self.capabilities.durable

    def _check_here(self, what: str) -> None:
        if self.other_host:
            raise BackendError(
                f"backend {self.name()!r} is that of host {self.other_host}: {what} there; if this machine "
                f"was called so, or that one is gone for good: ANYJOB_HOST={self.other_host} has it done here"
            )

    def _left(self, job: t.TaskJob) -> t.LeftFiles:
        """Return the files that a job leaves.

        Raises:
            JobError: they are not to be had from here.
        """
        from anyjob.outputs.left_files import LeftFiles

        if not self.capabilities.shared_files:
            raise JobError(
                f"what job {job.job_id()} has left cannot be fetched: backend {self.name()!r} shares no "
                "files with this program, and brings none; have the call return what is wanted"
            )
        return LeftFiles(job)

    def _sent_while_taken(self, size: int, sample: str) -> t.Beside | None:
        """Return what gets a large file that goes with a job while its content is taken, before the job is in
        the ledger; None: nothing does.

        Args:
            size: bytes of it.
            sample: what tells it from most others of that size.
        """
        return None

    def _order(self, record: JobRecord, options: Any) -> Order:
        job_id = record.job_id
        if record.spool is not None and not self.capabilities.durable:
            forget = only_here(functools.partial(self._forget, job_id))
            weakref.finalize(record, forget).atexit = False
        environment = {**self._given_variables(record), "ANYJOB_JOB_ID": job_id}
        if record.resources.retries is not None and not self.runs_again:
            environment["ANYJOB_ATTEMPT"] = str(record.launched_attempt)
            if record.spool is not None:
                environment["ANYJOB_SCRATCH"] = str(self.job_directory(job_id) / "scratch")
        return Order(
            job_id=record.attempt_id,
            spec=record.specs[-1],
            resources=record.resources,
            environment=environment,
            options=options,
            spool=record.spool,
            attempt=record.launched_attempt,
        )

    def _given_variables(self, record: JobRecord) -> dict[str, str]:
        """Return the variables that plugins give to a job, and those of a `Call` itself."""
        specs = record.specs
        given, native = self.services.environment(self, record.job_id, specs[0]), specs[-1]
        own = native.env if isinstance(native, Call) else None
        return {**given, **own} if own else dict(given)

    def _may_launch_again(self, record: JobRecord) -> bool:
        """Tell whether a job that `find` does not find may be handed over once more."""
        return self.capabilities.repeatable_launch

    def _launch_again(self, records: Sequence[JobRecord]) -> Mapping[str, str]:
        """Hand over jobs once more that `find` does not find, where ``repeatable_launch`` is said."""
        return launch_again(self, records)

    def _forget(self, job_id: str) -> None:
        """Nobody holds a handle any more on a job that had a directory."""

    def _spool(self, record: JobRecord) -> t.Path | None:
        """Return the directory that a job has on this side; None where it needs none."""
        if self.capabilities.durable and self.capabilities.shared_files:
            return job_spool.path_of(self.spool_root, record.attempt_id)
        return None


def _check_are_types(given: t.Iterable[str], name: str, kind: str) -> None:
    """Options below the name of a backend, or a misspelt type, would be dropped as another engine's are."""
    from anyjob.text.suggestions import nearest

    for each in given:
        if (each == name or nearest(each, [kind], NEAR)) and not _is_installed(each):
            what = "the name of a backend" if each == name else f"no type; did you mean {kind!r}?"
            raise SpecError(
                f"options of a job go by the type of the engine: options={{{kind!r}: …}}; {each!r} is {what}"
            )


def _is_installed(type_name: str) -> bool:
    from importlib.metadata import entry_points

    return any(each.name == type_name for each in entry_points(group="anyjob.backends"))

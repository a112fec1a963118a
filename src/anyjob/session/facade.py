"""A session: a configuration, a registry and the backends made of them, working together.

A program that embeds anyjob makes its own, which reads no file and no variable, and touches nothing global.
"""

from __future__ import annotations

from _thread import RLock
from weakref import WeakValueDictionary

from anyjob import _typing as t
from anyjob.errors import ConfigError, UnknownNameError, UnsupportedSpecError
from anyjob.process.forks import in_each_process
from anyjob.process.weak_collections import living
from anyjob.session.backends.backend_factory import BackendFactory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.session.jobs.finder import JobFinder


class Session:
    """A configuration, a registry and the backends made of them.

    Args:
        config: what is configured; by default nothing: no file and no variable is read.
        registry: what is installed; by default what this interpreter can import.
        state: the directory that durable backends keep their jobs in; by default the user's.

    It is a context manager, and closes its backends when it is closed.
    """

    def __init__(
        self,
        config: t.Config | None = None,
        registry: t.Registry | None = None,
        state: str | t.PathLike[str] | None = None,
    ) -> None:
        if config is None:
            from anyjob.config.settings import Config

            config = Config.from_dict({}, origin="an empty Session()")
        elif not hasattr(config, "default_backend"):
            raise ConfigError(f"a Session takes a Config, not {config!r}: Config.from_dict({{…}}) makes one")
        self.config = config
        self._registry = registry
        self.state = state
        self._factory = BackendFactory(self)
        self._backends: dict[str, t.AnyBackend] = {}
        self._providers: dict[str, t.Any] = {}
        self._made_providers: list[t.Any] = []
        self._extra: list[t.Any] = []  # those of the ledger that no name leads to
        self._own: WeakValueDictionary[int, t.Any] = WeakValueDictionary()  # made for somebody alone
        self._reported: set[str] = set()
        self._offers: t.Offers | None = None
        self._services: t.Services | None = None
        self._ledger: t.Ledger | None = None
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = RLock()

    # --- look-up ------------------------------------------------------------------------------

    def get_backend(self, /, name: str | None = None, **options: t.Any) -> t.AnyBackend:
        """Return the backend of this name.

        Args:
            name: a configured name, ``provider/backend``, or an installed type; None: the default.
            options: to be used in place of those configured; the backend is then made for you alone: close
                it when you are done with it, or else the session does when it is closed.

        Raises:
            UnknownNameError: nothing is configured, and no type is installed, under this name.
            PluginError: the plugin that answers to it cannot be used.
            ConfigError: its options are wrong.

        Type checkers take it for a task backend that may be of any class: what only its own class has is
        of any type.
        """
        if name is None:
            return self._default(options)
        _require_name("backend", name)
        if options:
            return self.keep(self._factory.make(name, options))
        backend: t.AnyBackend | None = self._backends.get(name)
        if backend is None or getattr(backend, "is_closed", False):
            return self.known_backend(name, lambda: self._factory.make(name, {}))
        return backend

    def keep(self, backend: t.AnyBackend) -> t.AnyBackend:
        """Have a backend that was made for somebody alone be one of this session's as long as it lives."""
        self._own[id(backend)] = backend
        return backend

    def _default(self, options: t.Mapping[str, t.Any]) -> t.AnyBackend:
        name = self.default_backend()
        try:
            return self.get_backend(name, **options)
        except UnknownNameError as error:
            origin = self.config.origin("default_backend")
            if origin is None:
                raise
            raise UnknownNameError(f"the default backend is {name!r} ({origin}): {error}") from None

    def default_backend(self) -> str:
        """Return the name of the backend that is used where none is named."""
        from anyjob.config.settings import BUILTIN

        return self.config.default_backend or BUILTIN["default_backend"]

    def get_provider(self, name: str) -> t.BaseProvider:
        """Return the provider of this name: a configured one, or an installed type.

        A backend that it gives is as `get_backend` gives it by ``PROVIDER/BACKEND``: it is called so, and its
        jobs are found under this name. One that needs options of its own is not among its ``backends()``.

        Raises:
            UnknownNameError: neither is there.
            PluginError: the plugin that answers to it cannot be used.
            ConfigError: its options are wrong.
        """
        _require_name("provider", name)
        with self._lock:
            provider: t.BaseProvider | None = self._providers.get(name)
            if provider is None:
                provider = self._providers[name] = self.another_provider(name)
        return provider

    def another_provider(self, name: str) -> t.BaseProvider:
        """Return the provider of this name, made anew: for a backend that cannot share it with others.

        Raises:
            AnyjobError: as `get_provider` says.
        """
        provider: t.BaseProvider = self._factory.make_provider(name)
        self._made_providers.append(provider)
        return provider

    def get_job_type(self, name: str) -> type[t.BaseJob]:
        """Return the class of the jobs of a kind of work.

        Raises:
            PluginError: none is installed, or it cannot be used.
        """
        _require_name("kind of work", name)
        return self.registry.job_type(name)

    def job_types(self) -> list[str]:
        """Return the names of the kinds of work that are installed, without importing them."""
        return self.registry.names("anyjob.job_types")

    def backend_names(self) -> list[str]:
        """Return what `get_backend` takes, without importing it: configured names, then installed types."""
        configured = list(self.config.backends)
        installed = self.registry.names("anyjob.backends")
        return configured + [name for name in installed if name not in self.config.backends]

    def backends(
        self,
        /,
        filters: t.Callable[[t.Any], bool] | None = None,
        can_run: str | t.Spec | type[t.Spec] | None = None,
        durable: bool | None = None,
        offered: bool = False,
        **attributes: t.Any,
    ) -> list[t.Any]:
        """Return the backends that can be used, configured ones first.

        Args:
            filters: a function of a backend; those for which it returns True are returned.
            can_run: only those that can run this work: a kind, a spec, or a class of specs.
            durable: only those whose jobs outlive the process that submits them (True), or do not.
            offered: also those that the providers offer, as ``PROVIDER/BACKEND``. The providers are asked at
                once, and once a session; one that does not answer is reported, once.
            attributes: only those with these values in their configuration, properties or status, as
                `anyjob.filter_backends` has them.

        Those that cannot be made (a broken plugin, an option that is missing), or for which ``filters``
        raises (an account that cannot be reached now), are left out, and reported by the logger ``anyjob``,
        once a session.

        Raises:
            BackendError: no backend has an attribute of that name.
        """
        from anyjob.session.backends.selection import select

        return select(self, filters, can_run, durable, offered, attributes)

    def known_backend(self, name: str, make: t.Callable[[], t.AnyBackend]) -> t.AnyBackend:
        """Return the backend of this name; where there is none, what is made, which has it from now on."""
        with self._lock:
            backend: t.AnyBackend | None = self._backends.get(name)
            if backend is None or getattr(backend, "is_closed", False):
                backend = self._backends[name] = make()
        return backend

    @property
    def offers(self) -> t.Offers:
        """What the providers offer."""
        with self._lock:
            if self._offers is None:
                from anyjob.session.providers.offers import Offers

                self._offers = Offers(self, self._factory)
            return self._offers

    def report_once(self, name: str, error: Exception) -> None:
        """Say what cannot be used; what is asked often is said once."""
        told = f"{name}: {error}"
        if told not in self._reported:
            self._reported.add(told)
            _report(name, error)

    # --- work ---------------------------------------------------------------------------------

    @t.overload
    def run(
        self, /, spec: t.Spec[t.T], backend: str | t.BaseBackend | None = None, **resources: t.Any
    ) -> t.TaskJob[t.T]: ...
    @t.overload
    def run(
        self,
        /,
        spec: t.Callable[..., t.T],
        *args: t.Any,
        backend: str | t.BaseBackend | None = None,
        **resources: t.Any,
    ) -> t.TaskJob[t.T]: ...
    @t.overload
    def run(
        self, /, spec: str, *args: t.Any, backend: str | t.BaseBackend | None = None, **resources: t.Any
    ) -> t.TaskJob[t.Any]: ...
    def run(
        self, /, spec: t.Any, *args: t.Any, backend: t.Any = None, **resources: t.Any
    ) -> t.TaskJob[t.Any]:
        """Hand one piece of work to a backend.

        Args:
            spec: what to run; or a function: a `Call` is made of it.
            args: the positional arguments of the function; after a spec, the backend.
            backend: the backend, or its name; None lets a plugin's ``anyjob_choose_backend`` decide,
                and else takes the default.
            resources: what it needs and what it is called: see `anyjob.Resources`.

        Raises:
            AnyjobError: as `get_backend` and the backend's ``run`` do.
        """
        from anyjob.session.placement import place

        found, work, args = place(lambda: self, spec, args, backend, resources)
        job: t.TaskJob[t.Any] = found.run(work, *args, **resources)
        return job

    def choose_backend(self, spec: t.Spec) -> t.AnyBackend:
        """Return the backend for work that names none: what a plugin chooses, else the default.

        Raises:
            SpecError: a plugin chooses, and a file of the work cannot be read.
            AnyjobError: as `get_backend` does.
        """
        chosen: str | t.AnyBackend | None = None
        if self.services.chooses:
            from anyjob.runtime.lowering import as_it_runs

            chosen = self.services.choose(as_it_runs(spec))
        return self.get_backend(chosen) if chosen is None or isinstance(chosen, str) else chosen

    def wait(
        self,
        jobs: t.Iterable[t.J],
        timeout: float | None = None,
        return_when: str = "ALL_COMPLETED",
        *,
        progress: bool = False,
    ) -> t.Waited[t.J]:
        """Wait for jobs to end: see `anyjob.wait`."""
        from anyjob.tracking.waits.blocking import wait

        return wait(jobs, timeout, return_when, progress=progress)

    def as_completed(
        self, jobs: t.Iterable[t.J], timeout: float | None = None, *, progress: bool = False
    ) -> t.Iterator[t.J]:
        """Yield jobs as they end: see `anyjob.as_completed`."""
        from anyjob.tracking.waits.blocking import as_completed

        return as_completed(jobs, timeout, progress=progress)

    # --- jobs ---------------------------------------------------------------------------------

    def get_job(self, job_id: str, backend: str | t.BaseBackend | None = None) -> t.Any:
        """Return a handle on a job.

        Args:
            job_id: our id or an unambiguous prefix of it; or the backend's own id, with ``backend``.
            backend: the backend, or its name, for a job that the backend itself finds again.

        Raises:
            JobNotFoundError: there is no such job, or the prefix fits several.
        """
        if backend is not None:
            from anyjob.session.placement import given_backend

            found: t.Any = given_backend(lambda: self, backend)
            return found.retrieve_job(job_id)
        return self._finder.by_id(job_id)

    def jobs(
        self,
        name: str | None = None,
        state: str | t.JobStatus | t.Iterable[str | t.JobStatus] | None = None,
        backend: str | None = None,
        tags: t.Mapping[str, str] | None = None,
        since: float | str | t.datetime | t.timedelta | None = None,
        limit: int | None = None,
        superseded: bool = False,
        parameters: t.Mapping[str, t.Any] | None = None,
    ) -> list[t.Any]:
        """Return handles on jobs, oldest first: those in the ledger, and those only this process knows.

        Of the jobs of backends that are not durable, these are those that have not ended, and those
        that somebody holds a handle on.

        Args:
            name: only those of this name.
            state: only those in this state, or one of these: ``"DONE"``, ``"RUNNING"``, …, or ``"open"``,
                ``"ended"`` or ``"failed"``.
            backend: only those given to the backend of this name: one that it is configured under, or
                was when it was given the jobs, its type, or ``PROVIDER/BACKEND``.
            tags: only those with all of these.
            since: only those submitted since then: a datetime, seconds since 1970, or text: a day
                ("2026-11-30", "yesterday"), a time of one, or how long ago ("2h").
            limit: only the newest so many.
            superseded: also those that were run again since (see `rerun`), so that others count instead.
            parameters: only those with all of these values of axes of a job file: ``{"seed": 3}``. A text
                also means the number that it reads as.

        Raises:
            UnknownNameError: no backend is called so.
            SpecError: what they are looked for by makes no sense.
        """
        from anyjob.job import JobList

        return JobList(self._finder.select(name, state, backend, tags, since, limit, superseded, parameters))

    def rerun(
        self, /, jobs: t.Iterable[t.TaskJob[t.T]], *, downstream: bool = False, **resources: t.Any
    ) -> list[t.TaskJob[t.T]]:
        """Submit jobs again, to their backends; return the new jobs in order.

        Each is submitted from the directory that its original was submitted from, and supersedes it: `jobs`,
        and a name, find the newest. It starts after what its original was to start after or, where that was
        run again, after the new job of that.

        Args:
            jobs: task jobs, in whatever state.
            downstream: also those that started after these, directly or not, or never started because of
                these: their new jobs follow those of ``jobs``. What has not ended goes on as it is, and what
                ran ``after_failure`` is left alone.
            resources: what is to be different this time: see `anyjob.Resources`.

        Raises:
            JobError: one is a plain job, whose work is not known.
        """
        from anyjob.session.jobs.actions import rerun

        return rerun(self, jobs, resources, downstream=downstream)

    def cancel(self, jobs: t.Iterable[t.Any], *, downstream: bool = True) -> list[bool]:
        """Cancel jobs, by one call to each backend; say for each whether that was accepted.

        A job that was to start after the success, or the failure, of one of them ends too, as ERROR with the
        reason ``dependency``.

        Args:
            jobs: the jobs.
            downstream: False: it does not wait for them any more, and starts once everything else that it
                waits for has come about; calls that need their results end all the same.
        """
        from anyjob.session.jobs.actions import cancel

        return cancel(jobs, downstream=downstream)

    def hold(self, jobs: t.Iterable[t.TaskJob]) -> list[bool]:
        """Keep waiting jobs from starting until they are released; say for each whether that was done.

        The ledger keeps that, whatever process ends meanwhile. Running jobs are not held: see `pause`.

        Raises:
            UnsupportedSpecError: a backend cannot do that: `local` can.
        """
        from anyjob.session.jobs.actions import control

        return control("hold", jobs)

    def release(self, jobs: t.Iterable[t.TaskJob]) -> list[bool]:
        """Let held jobs start; say for each whether that was done.

        Raises:
            UnsupportedSpecError: a backend cannot do that: `local` can.
        """
        from anyjob.session.jobs.actions import control

        return control("release", jobs)

    def pause(self, jobs: t.Iterable[t.TaskJob]) -> list[bool]:
        """Suspend running jobs until they are resumed; say for each whether that was done.

        All their processes are stopped (SIGSTOP). They keep their slots and their memory, and their
        walltime goes on.

        Raises:
            UnsupportedSpecError: a backend cannot do that: `local` can.
        """
        from anyjob.session.jobs.actions import control

        return control("pause", jobs)

    def resume(self, jobs: t.Iterable[t.TaskJob]) -> list[bool]:
        """Let paused jobs go on; say for each whether that was done.

        Raises:
            UnsupportedSpecError: a backend cannot do that: `local` can.
        """
        from anyjob.session.jobs.actions import control

        return control("resume", jobs)

    def set_priority(self, jobs: t.Iterable[t.TaskJob], priority: int) -> list[bool]:
        """Give waiting jobs another priority; say for each whether that was done.

        Args:
            jobs: of backends that know priorities.
            priority: the higher, the sooner they start; 0 by default.

        Raises:
            SpecError: the priority is no whole number.
            UnsupportedSpecError: a backend knows no priorities: `local` does.
        """
        from anyjob.resources import check_priority
        from anyjob.session.jobs.actions import control

        return control("priority", jobs, check_priority(priority))

    def limit(
        self,
        name: str = "",
        most: int | None = None,
        *,
        tags: t.Mapping[str, str] | None = None,
        backend: str | t.BaseBackend | None = None,
    ) -> t.Mapping[str, int]:
        """Limit how many jobs of a name, or with each of these tags, run at a time on a backend.

        It also holds for jobs that wait already, until it is changed; running jobs go on.

        Args:
            name: what the jobs are called.
            most: how many; None: any number.
            tags: the tags.
            backend: the backend, or its name; by default, the default one.

        Returns:
            all limits that the backend has now, by name, or by ``tag:KEY=VALUE``.

        Raises:
            UnsupportedSpecError: the backend cannot do that: `local` can.
        """
        from anyjob.session.placement import given_backend

        found: t.Any = given_backend(lambda: self, backend)
        if not hasattr(found, "limit"):
            raise UnsupportedSpecError(f"backend {str(found)!r} cannot limit how many jobs run at a time")
        limits: t.Mapping[str, int] = found.limit(name, most, tags=tags)
        return limits

    def prune(self, older_than: float | str | t.timedelta) -> list[str]:
        """Delete jobs that ended longer ago than this ("30d"), with what they wrote; return their ids."""
        from anyjob.session.pruning import prune

        return prune(self.services.ledger, older_than)

    @property
    def _finder(self) -> JobFinder:
        from anyjob.session.jobs.finder import JobFinder

        return JobFinder(self)

    # --- what it holds ------------------------------------------------------------------------

    @property
    def registry(self) -> t.Registry:
        """What is installed."""
        with self._lock:
            if self._registry is None:
                from anyjob.registry.lookup import Registry

                self._registry = Registry(allow=self.config.plugins.allow, deny=self.config.plugins.deny)
            return self._registry

    @property
    def ledger(self) -> t.Ledger:
        """The ledger below the session's state directory."""
        with self._lock:
            if self._ledger is None:
                from pathlib import Path

                from anyjob.ledger.file.statedir import default_state
                from anyjob.ledger.store import Ledger

                state = default_state({}) if self.state is None else Path(self.state).expanduser().absolute()
                self._ledger = Ledger(state)
            return self._ledger

    @property
    def services(self) -> t.Services:
        """The job types, hooks and ledger that the backends of this session use."""
        with self._lock:
            if self._services is None:
                from anyjob.session.services import SessionServices

                self._services = SessionServices(self)
            return self._services

    def made(self) -> list[t.Any]:
        """Return the backends that this session has made."""
        with self._lock:
            return [*self._backends.values(), *self._extra, *living(self._own).values()]

    def offered_row(self, name: str) -> t.BackendRow:
        """Return what a backend of a provider is for the ledger, without asking the provider.

        Raises:
            AnyjobError: the provider cannot be made, or the options cannot be used.
        """
        return self._factory.offered_row(name)

    def backend_numbers(self, name: str) -> list[int]:
        """Return the numbers of the backends in the ledger that are called so, by any of their names.

        Raises:
            UnknownNameError: no backend is called so.
        """
        from anyjob.session.backends.ledger_backends import LedgerBackends

        return LedgerBackends(self).numbers(name)

    def remake_backend(self, row: t.BackendRow) -> t.Any:
        """Make a backend as it was when it was given a job, for one that is configured no more.

        Raises:
            PluginError: its type is not installed any more.
            ConfigError: its options cannot be used any more.
        """
        backend = self._factory.remake(row)
        self._extra.append(backend)
        return backend

    def adopt(self, backend: t.Any, row: t.BackendRow) -> None:
        """Make a backend that stands for one of the ledger one of this session's."""
        self._factory.adopt(backend, row)
        self._extra.append(backend)

    def check(self) -> list[str]:
        """Return all that is wrong with the configuration, in words: what ``anyjob config check`` prints.

        That is unknown keys, types that are missing, options that their types do not take, and secrets that
        are unset. It imports the plugins of what is configured, makes no backend, and uses no network.
        """
        from anyjob.session.backends.config_check import problems

        return list(problems(self))

    def close(self) -> None:
        """Close the backends and providers that this session has made. May be called twice."""
        with self._lock:
            made = [*self.made(), *self._made_providers]
            self._backends.clear()
            self._extra.clear()
            self._own.clear()
            self._providers.clear()
            self._made_providers.clear()
        for thing in made:
            try:
                thing.close()
            except Exception as error:  # of a plugin: the others are closed all the same
                _report(str(thing), error)

    def __getstate__(self) -> object:
        raise TypeError(
            "a session belongs to this process: have the work use anyjob's functions, or make one"
        )

    def __enter__(self) -> t.Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: t.TracebackType | None
    ) -> None:
        self.close()


def _require_name(what: str, name: object) -> None:
    """Raise where a name that is to be looked up is none."""
    if not isinstance(name, str):
        raise UnknownNameError(f"a {what} is named by text, not by {name!r}")


def _report(name: str, error: BaseException) -> None:
    from anyjob.process.reporting import report

    report("%s: %s: %s", name, type(error).__name__, error)

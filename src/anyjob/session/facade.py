"""A session: a configuration, a registry and the backends made of them, working together.

The functions of the package ``anyjob`` delegate to a default session, the only one that reads files
and environment by itself. A program that embeds anyjob makes its own, which touches nothing global.
"""

from __future__ import annotations

import os
from _thread import RLock

from anyjob.errors import AnyjobError, ConfigError, UnknownNameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta
    from types import TracebackType
    from typing import Any, Self

    from anyjob.backend import BaseBackend, BaseProvider
    from anyjob.config.settings import Config
    from anyjob.job import BaseJob
    from anyjob.jobtypes import TaskJob
    from anyjob.ledger.store import BackendRow
    from anyjob.registry.lookup import Registry
    from anyjob.runtime.services import Services
    from anyjob.session.job_finder import JobFinder
    from anyjob.specs import Spec
    from anyjob.status import JobStatus
    from anyjob.tracking.waiting import Waited


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
        config: Config | None = None,
        registry: Registry | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        if config is None:
            from anyjob.config.settings import Config

            config = Config.from_dict({}, origin="an empty Session()")
        if registry is None:
            from anyjob.registry.lookup import Registry

            registry = Registry()
        self.config = config
        self.registry = registry
        self.state = state
        self._made: dict[str, Any] = {}
        self._providers: dict[str, Any] = {}
        self._extra: list[Any] = []
        self._lock = RLock()
        self._services: Any = None
        self._is_checked = False

    # --- look-up ------------------------------------------------------------------------------

    def get_backend(self, name: str | None = None, **options: Any) -> Any:
        """Return the backend of this name.

        Args:
            name: a configured name, ``provider/backend``, or an installed type; None: the default.
            options: to be used in place of those configured; the backend is then made for you alone.

        Raises:
            UnknownNameError: nothing is configured, and no type is installed, under this name.
            PluginError: the plugin that answers to it cannot be used.
            ConfigError: its options are wrong.
        """
        if name is None:
            return self._default(options)
        if options:
            backend = self._make_backend(name, options)
            self._extra.append(backend)
            return backend
        backend = self._made.get(name)
        if backend is None:
            with self._lock:
                backend = self._made.get(name)
                if backend is None:
                    backend = self._made[name] = self._make_backend(name, {})
        return backend

    def _default(self, options: Mapping[str, Any]) -> Any:
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

    def get_provider(self, name: str) -> BaseProvider:
        """Return the provider of this name: a configured one, or an installed type.

        Raises:
            UnknownNameError: neither is there.
            PluginError: the plugin that answers to it cannot be used.
        """
        with self._lock:
            provider = self._providers.get(name)
            if provider is None:
                entry = self.config.entry("providers", name)
                kind, values = (entry.type, entry.options) if entry else (name, {})
                provider_type = self._find("provider", name, kind, self.registry.provider)
                provider = provider_type.from_options(name, self._values(provider_type, values))
                self._providers[name] = provider
        found: BaseProvider = provider
        return found

    def get_job_type(self, name: str) -> type[BaseJob]:
        """Return the class of the jobs of a kind of work.

        Raises:
            PluginError: none is installed, or it cannot be used.
        """
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
        filters: Callable[[Any], bool] | None = None,
        can_run: str | Spec | type[Spec] | None = None,
        durable: bool | None = None,
    ) -> list[Any]:
        """Return the backends that can be used, configured ones first.

        Args:
            filters: a function of a backend; those for which it returns True are returned.
            can_run: only those that can run this work: a kind, a spec, or a class of specs.
            durable: only those whose jobs outlive the process that submits them (True), or do not.

        Those that cannot be made (a broken plugin, an option that is missing) are left out, and
        reported by the logger ``anyjob``.
        """
        found = []
        for name in self.backend_names():
            try:
                backend = self.get_backend(name)
                suits = self._suits(backend, can_run, durable)
            except AnyjobError as error:
                self._report(name, error)
                continue
            if suits and (filters is None or filters(backend)):
                found.append(backend)
        return found

    # --- work ---------------------------------------------------------------------------------

    def run(self, spec: Spec, backend: str | BaseBackend | None = None, **resources: Any) -> TaskJob:
        """Hand one piece of work to a backend.

        Args:
            spec: what to run.
            backend: the backend, or its name; None lets a plugin's ``anyjob_choose_backend`` decide,
                and else takes the default.
            resources: what it needs and what it is called: see `anyjob.Resources`.

        Raises:
            AnyjobError: as `get_backend` and the backend's ``run`` do.
        """
        if backend is None:
            found = self.choose_backend(spec)
        else:
            found = self.get_backend(backend) if isinstance(backend, str) else backend
        job: TaskJob = found.run(spec, **resources)
        return job

    def choose_backend(self, spec: Spec) -> Any:
        """Return the backend for work that names none: what a plugin chooses, else the default.

        Raises:
            AnyjobError: as `get_backend` does.
        """
        from anyjob.session.services import SessionServices

        services = self.services
        assert isinstance(services, SessionServices)
        chosen = services.choose(spec)
        return self.get_backend(chosen) if chosen is None or isinstance(chosen, str) else chosen

    def wait(
        self, jobs: Iterable[Any], timeout: float | None = None, return_when: str = "ALL_COMPLETED"
    ) -> Waited:
        """Wait for jobs to end: see `anyjob.wait`."""
        from anyjob.tracking.waiting import wait

        return wait(jobs, timeout, return_when)

    def as_completed(self, jobs: Iterable[Any], timeout: float | None = None) -> Iterator[Any]:
        """Yield jobs as they end: see `anyjob.as_completed`."""
        from anyjob.tracking.waiting import as_completed

        return as_completed(jobs, timeout)

    def get_job(self, job_id: str, backend: str | BaseBackend | None = None) -> Any:
        """Return a handle on a job.

        Args:
            job_id: our id or an unambiguous prefix of it; or the backend's own id, with ``backend``.
            backend: the backend, or its name, for a job that the backend itself finds again.

        Raises:
            JobNotFoundError: there is no such job, or the prefix fits several.
        """
        if backend is not None:
            found = self.get_backend(backend) if isinstance(backend, str) else backend
            return found.retrieve_job(job_id)
        return self._finder.by_id(job_id)

    def jobs(
        self,
        name: str | None = None,
        state: str | JobStatus | Iterable[str | JobStatus] | None = None,
        backend: str | None = None,
        tags: Mapping[str, str] | None = None,
        since: float | str | datetime | timedelta | None = None,
        limit: int | None = None,
    ) -> list[Any]:
        """Return handles on jobs, oldest first: those in the ledger, and those only this process knows.

        Of the jobs of backends that are not durable, these are those that have not ended, and those
        that somebody holds a handle on.

        Args:
            name: only those of this name.
            state: only those in this state, or one of these.
            backend: only those given to the backend of this name (or, in the ledger, of this type).
            tags: only those with all of these.
            since: only those submitted since then: a datetime, seconds since 1970, or how long ago ("2h").
            limit: only the newest so many.
        """
        return self._finder.select(name, state, backend, tags, since, limit)

    def rerun(self, jobs: Iterable[Any], **resources: Any) -> list[Any]:
        """Hand over anew what jobs were handed, to their backends; return the new jobs in order.

        Args:
            jobs: task jobs, in whatever state.
            resources: what is to be different this time: see `anyjob.Resources`.

        Raises:
            JobError: one is a plain job, whose work is not known.
        """
        return self._finder.rerun(jobs, resources)

    def cancel(self, jobs: Iterable[Any]) -> list[bool]:
        """Cancel jobs, by one call to each backend; say for each whether that was accepted."""
        from anyjob.taskbackend import TaskBackend

        jobs = list(jobs)
        answers: dict[int, bool] = {}
        groups: dict[int, list[Any]] = {}
        for job in jobs:
            groups.setdefault(id(job.backend()), []).append(job)
        for some in groups.values():
            backend = some[0].backend()
            if isinstance(backend, TaskBackend):
                accepted = backend.cancel_many(some)
            else:
                accepted = [bool(job.cancel()) for job in some]
            answers.update(zip(map(id, some), accepted, strict=True))
        return [answers[id(job)] for job in jobs]

    def prune(self, older_than: float | str | timedelta) -> list[str]:
        """Forget jobs that ended longer ago than this ("30d"), with what they wrote; return their ids."""
        return self._finder.prune(older_than)

    def made(self) -> list[Any]:
        """Return the backends that this session has made."""
        with self._lock:
            return [*self._made.values(), *self._extra]

    def close(self) -> None:
        """Close the backends and providers that this session has made. May be called twice."""
        with self._lock:
            made = [*self._made.values(), *self._extra, *self._providers.values()]
            self._made.clear()
            self._extra.clear()
            self._providers.clear()
        for thing in made:
            try:
                thing.close()
            except Exception as error:
                self._report(str(thing), error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- how it is done -----------------------------------------------------------------------

    @property
    def services(self) -> Services:
        """What the backends of this session are surrounded by."""
        with self._lock:
            if self._services is None:
                from anyjob.session.services import SessionServices

                self._services = SessionServices(self, find_anywhere)
            services: Services = self._services
            return services

    @property
    def _finder(self) -> JobFinder:
        from anyjob.session.job_finder import JobFinder

        return JobFinder(self)

    def rebuild(self, row: BackendRow) -> Any:
        """Make a backend as it was when it was given a job, for one that is configured no more.

        Raises:
            PluginError: its type is not installed any more.
            ConfigError: its options cannot be used any more.
        """
        from anyjob.ledger.identity import usable_options

        options = usable_options(row)
        provider, slash, rest = row.type.rpartition("/")
        if slash:
            provider_type = self.registry.provider(provider)
            offers = provider_type.from_options(provider, self._values(provider_type, options))
            backend = offers.get_backend(rest)
        else:
            backend_type = self.registry.backend(row.type) if ":" not in row.type else _imported(row.type)
            backend = backend_type.from_options(row.label, self._values(backend_type, options))
        backend.ledger_row = row
        self.take_in(backend, row)
        return backend

    def take_in(self, backend: Any, row: BackendRow) -> None:
        """Make a backend that stands for one of the ledger one of this session's."""
        self._adopt(backend, row.type, row.distribution, lambda: row)
        with self._lock:
            self._extra.append(backend)

    def _make_backend(self, name: str, overrides: Mapping[str, Any]) -> Any:
        if not self._is_checked:
            self._is_checked = True
            for problem in self.config.problems():  # what it says in vain was meant to be used
                _log(str(problem))
        entry = self.config.entry("backends", name)
        kind = entry.type if entry else name
        values: Mapping[str, Any] = entry.options if entry else {}
        provider, slash, rest = kind.partition("/")
        if slash:
            backend = self._from_provider(name, provider, rest, {**values, **overrides})
            offered = self.config.entry("providers", provider)
            kind = f"{offered.type if offered else provider}/{rest}"
            values, distribution = {} if offered is None else offered.options, ""
        else:
            backend_type = self._find("backend", name, kind, self.registry.backend)
            if overrides:
                given = {"backends": {name: {"type": kind, **overrides}}}
                changed = self.config.with_overrides(given, origin=f"get_backend({name!r}, …)")
                values = changed.backends[name].options
            values = self._values(backend_type, values)
            backend = backend_type.from_options(name, values)
            origin = self.registry.origin("anyjob.backends", kind)
            distribution = origin.distribution if origin else ""
        self._adopt(backend, kind, distribution, lambda: _identified(name, kind, distribution, values))
        if slash and hasattr(backend, "launch"):
            backend.provider_options = values
        return backend

    def _from_provider(self, name: str, provider: str, rest: str, values: Mapping[str, Any]) -> Any:
        if values:
            raise ConfigError(
                f"backend {name!r} comes from provider {provider!r}, which it gets its options from: move "
                + ", ".join(repr(key) for key in values)
                + f" to [providers.{provider}]"
            )
        return self.get_provider(provider).get_backend(rest)

    def _find(self, what: str, name: str, kind: str, look_up: Callable[[str], Any]) -> Any:
        try:
            return look_up(kind)
        except UnknownNameError as error:
            configured = self.config.backends if what == "backend" else self.config.providers
            if name in configured:
                raise UnknownNameError(
                    f"{what} {name!r} is configured to be of type {kind!r}: {error}"
                ) from None
            if not configured:
                raise
            from anyjob.text.nearest import nearest

            near = nearest(name, configured)
            hint = f"; did you mean the configured {near!r}?" if near else ""
            names = ", ".join(map(repr, configured))
            raise UnknownNameError(f"{error}\nconfigured: {names}{hint}") from None

    def _values(self, found_type: Any, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options for a type that declares none of its own: their secrets are to be resolved at use."""
        if not values or hasattr(found_type, "Options"):
            return values
        from anyjob.config.secrets import from_config

        return from_config(values, getattr(values, "where", str))

    def _adopt(
        self, backend: Any, type_name: str, distribution: str, identify: Callable[[], BackendRow]
    ) -> None:
        """Let a backend know whose it is, and what."""
        from anyjob.backend import BaseBackend

        if hasattr(backend, "services") and hasattr(backend, "launch"):
            backend.services = self.services
            backend.type_name, backend.distribution = type_name, distribution
        elif isinstance(backend, BaseBackend):
            from anyjob.session.plain_backend import Plain

            Plain(self, backend, identify)

    def _suits(self, backend: Any, can_run: Any, durable: bool | None) -> bool:
        # The made backend is asked, not its class: what it is capable of may depend on its options.
        if durable is not None and backend.capabilities.durable is not durable:
            return False
        if can_run is None:
            return True
        from anyjob.errors import UnsupportedSpecError
        from anyjob.lowering import find_route
        from anyjob.specs import kind_of

        try:
            find_route(
                can_run if isinstance(can_run, str) else kind_of(can_run),
                getattr(backend, "accepts", ()),
                self.services.job_type,
                shared_files=backend.capabilities.shared_files,
            )
        except UnsupportedSpecError:
            return False
        return True

    def _report(self, name: str, error: BaseException) -> None:
        _log(f"{name}: {type(error).__name__}: {error}")


def _identified(label: str, type_name: str, distribution: str, options: Mapping[str, Any]) -> BackendRow:
    from anyjob.ledger.identity import plain_identity

    return plain_identity(label, type_name, distribution, options)


def _imported(path: str) -> Any:
    from importlib import import_module

    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


_default: tuple[int, Session] | None = None


def default_session() -> Session:
    """Return the session that the functions of the package ``anyjob`` use.

    It is made at the first use, of the configuration files and the environment as they are then. A
    process that was forked makes its own, since threads do not survive a fork.
    """
    global _default
    if _default is None or _default[0] != os.getpid():
        from anyjob.config.settings import Config
        from anyjob.registry.lookup import Registry

        _default = os.getpid(), Session(Config.load(), Registry(), os.environ.get("ANYJOB_STATE"))
    return _default[1]


def _log(message: str) -> None:
    import logging

    logging.getLogger("anyjob").warning("%s", message)


def set_default_session(session: Session | None) -> None:
    """Have the functions of the package ``anyjob`` use this session; None: make a new one when needed."""
    global _default
    _default = None if session is None else (os.getpid(), session)


_by_state: dict[tuple[int, str], Session] = {}


def find_anywhere(job_id: str, state: str) -> Any:
    """Return a handle on the job of a ledger: what a pickled handle becomes."""
    from anyjob.tracking.tracker import Tracker

    for tracker in list(Tracker.instances):
        job = tracker.job(job_id)
        if job is not None:
            return job
    session = default_session()
    if str(session.services.ledger.state) != state:
        key = os.getpid(), state
        session = _by_state.setdefault(key, Session(session.config, session.registry, state))
    return session.get_job(job_id)


# The functions of the package: each does on the default session what the method of its name does.


def get_backend(name: str | None = None, **options: Any) -> Any:
    """Return the backend of this name: see `Session.get_backend`."""
    return default_session().get_backend(name, **options)


def get_provider(name: str) -> BaseProvider:
    """Return the provider of this name: see `Session.get_provider`."""
    return default_session().get_provider(name)


def get_job_type(name: str) -> type[BaseJob]:
    """Return the class of the jobs of a kind of work: see `Session.get_job_type`."""
    return default_session().get_job_type(name)


def job_types() -> list[str]:
    """Return the names of the kinds of work that are installed: see `Session.job_types`."""
    return default_session().job_types()


def backends(
    filters: Callable[[Any], bool] | None = None,
    can_run: str | Spec | type[Spec] | None = None,
    durable: bool | None = None,
) -> list[Any]:
    """Return the backends that can be used: see `Session.backends`."""
    return default_session().backends(filters, can_run, durable)


def run(spec: Spec, backend: str | BaseBackend | None = None, **resources: Any) -> TaskJob:
    """Hand one piece of work to a backend: see `Session.run`."""
    return default_session().run(spec, backend, **resources)


def get_job(job_id: str, backend: str | BaseBackend | None = None) -> Any:
    """Return a handle on a job: see `Session.get_job`."""
    return default_session().get_job(job_id, backend)


def jobs(
    name: str | None = None,
    state: str | JobStatus | Iterable[str | JobStatus] | None = None,
    backend: str | None = None,
    tags: Mapping[str, str] | None = None,
    since: float | str | datetime | timedelta | None = None,
    limit: int | None = None,
) -> list[Any]:
    """Return handles on jobs, oldest first: see `Session.jobs`."""
    return default_session().jobs(name, state, backend, tags, since, limit)


def rerun(jobs: Iterable[Any], **resources: Any) -> list[Any]:
    """Hand over anew what jobs were handed: see `Session.rerun`."""
    return default_session().rerun(jobs, **resources)

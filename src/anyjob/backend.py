"""A backend: a place that runs work; and a provider: what offers several of them.

The interfaces are those of ``BaseBackend`` and ``BaseProvider`` in Qiskit's original provider
interface (``qiskit.providers``, 0.7 to 0.17), with their meaning kept and their traps removed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from anyjob import hints as t
from anyjob.errors import BackendError, BackendNotFoundError, ConfigError, in_words

TYPE_CHECKING = False


class _Record:
    """Named values, equal by value: what a frozen dataclass would be, at a tenth of its import time."""

    def __init__(self, **values: t.Any) -> None:
        self.__dict__.update(values)

    def to_dict(self) -> dict[str, t.Any]:
        """Return the values by name."""
        return dict(self.__dict__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), frozenset(self.__dict__)))

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in self.__dict__.items())
        return f"{type(self).__name__}({values})"


class BackendConfiguration(_Record):
    """What a backend was configured with: ``backend_name``, ``backend_version``, and its options
    as attributes of their own."""

    backend_name: str
    backend_version: str

    def __init__(self, backend_name: str, backend_version: str = "", **options: t.Any) -> None:
        super().__init__(backend_name=backend_name, backend_version=backend_version, **options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> t.Any: ...


class BackendStatus(_Record):
    """What a backend says of itself now."""

    backend_name: str
    backend_version: str
    operational: bool
    pending_jobs: int
    status_msg: str

    def __init__(
        self,
        backend_name: str,
        backend_version: str = "",
        operational: bool = True,
        pending_jobs: int = 0,
        status_msg: str = "",
    ) -> None:
        super().__init__(
            backend_name=backend_name,
            backend_version=backend_version,
            operational=operational,
            pending_jobs=pending_jobs,
            status_msg=status_msg,
        )


class Capabilities(_Record):
    """What a backend can do, so that programs can choose by it and the conformance kit knows.

    Args:
        durable: its jobs outlive the process that submitted them.
        shared_files: the work sees the same files under the same paths as the caller.
        find: it can find a job by our id (repairs a crash between launch and record).
        logs: it keeps what the work writes to stdout and stderr.
        cancel_running: it can end work that has started.
        walltime: it ends work that runs longer than asked for.
        notifies: it hears of changes, so that waits need not poll.
        may_run_twice: its engine may by itself run a task a second time.
    """

    durable: bool
    shared_files: bool
    find: bool
    logs: bool
    cancel_running: bool
    walltime: bool
    notifies: bool
    may_run_twice: bool

    def __init__(
        self,
        *,
        durable: bool = False,
        shared_files: bool = False,
        find: bool = False,
        logs: bool = False,
        cancel_running: bool = True,
        walltime: bool = True,
        notifies: bool = False,
        may_run_twice: bool = False,
    ) -> None:
        super().__init__(
            durable=durable,
            shared_files=shared_files,
            find=find,
            logs=logs,
            cancel_running=cancel_running,
            walltime=walltime,
            notifies=notifies,
            may_run_twice=may_run_twice,
        )


class BaseBackend(ABC):
    """A place that runs work.

    Subclasses bring ``run``. A subclass that can find its own jobs again overrides
    ``retrieve_job``. Constructors do no network (qiskit-ibm-provider#555).

    Args:
        configuration: has ``backend_name``, ``backend_version`` and the options as attributes.
        provider: what this backend was got from, if anything.
    """

    capabilities: Capabilities = Capabilities()
    is_closed = False
    """Whether it was closed, where its class says so: a session then makes another one when asked."""

    def __init__(self, configuration: t.Any, provider: t.Any = None) -> None:
        self._configuration = configuration
        self._provider = provider

    @classmethod
    def from_options(cls, name: str, options: t.Mapping[str, t.Any], provider: t.Any = None) -> t.Self:
        """Make a backend of this type: what the configuration of a session calls.

        Args:
            name: the configured name.
            options: what the configuration says of it, less ``type``.
            provider: what it belongs to, if anything.

        Returns:
            the backend, made by its constructor with a `BackendConfiguration` of the name and the options;
            with the options by name where the constructor's first parameter is not ``configuration``.

        Raises:
            ConfigError: an option cannot be used, or one is missing.
        """
        if not takes_configuration(cls):
            made: t.Self = _made_by_names(cls, f"backend {name!r}", name, options, provider)
            return made
        values = dict(options)
        version = values.pop("backend_version", "")
        return cls(BackendConfiguration(name, version, **values), provider)

    @abstractmethod
    def run(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Hand over work.

        Args:
            args: the work, in the form that this type of backend takes.
            kwargs: how it is to be run.

        Returns:
            the job, or several: handles, as a rule a `BaseJob` each.

        Raises:
            SpecError: the work makes no sense.
            JobRejectedError: the engine would not take it.
            BackendError: the backend cannot take work now.
        """

    def name(self) -> str:
        """Return the name that the backend was configured with.

        Returns:
            its configuration's ``backend_name``.
        """
        return str(self._configuration.backend_name)

    def version(self) -> str:
        """Return the version of the backend.

        Returns:
            its configuration's ``backend_version``; empty where none is known.
        """
        return str(self._configuration.backend_version)

    def configuration(self) -> t.Any:
        """Return what the backend was configured with.

        Returns:
            an object with ``backend_name``, ``backend_version`` and the options as attributes.
        """
        return self._configuration

    def properties(self) -> t.Any:
        """Return measured properties of the backend.

        Returns:
            an object with the properties as attributes, or None where there are none.

        Raises:
            BackendError: they cannot be asked for now.
        """
        return None

    def provider(self) -> t.Any:
        """Return what this backend was got from.

        Returns:
            the provider, or None for a backend that stands alone.
        """
        return self._provider

    def status(self) -> t.Any:
        """Return what the backend says of itself now.

        Returns:
            a `BackendStatus`; by default one that says that it is operational.

        Raises:
            BackendError: it cannot be asked now.
        """
        return BackendStatus(self.name(), self.version())

    def retrieve_job(self, job_id: str) -> t.Any:
        """Return a handle on the job that the backend knows by this id.

        Args:
            job_id: the backend's own id of the job.

        Returns:
            the handle: a `BaseJob`, as a rule.

        Raises:
            BackendError: this type of backend cannot find its jobs again.
            JobNotFoundError: it can, and has no such job.
        """
        raise BackendError(
            f"backend {self.name()!r} ({type(self).__name__}) cannot find its jobs again: "
            "it does not override retrieve_job()"
        )

    def close(self) -> None:
        """Let go of what the backend holds. May be called twice."""

    def __str__(self) -> str:
        return self.name()

    def __repr__(self) -> str:
        origin = f" from {self._provider}" if self._provider is not None else ""
        return f"<{type(self).__name__}({self.name()!r}){origin}>"


class ProviderConfiguration(_Record):
    """What a provider was configured with: ``provider_name``, and its options as attributes."""

    provider_name: str

    def __init__(self, provider_name: str, **options: t.Any) -> None:
        super().__init__(provider_name=provider_name, **options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> t.Any: ...


class BaseProvider(ABC):
    """An account or a cluster that offers several backends.

    Two providers of one class are equal, unless they were configured differently. Subclasses bring
    ``backends``, usually by way of `filter_backends`.

    Args:
        configuration: has ``provider_name`` and the options as attributes, where there is one.
        provider: what it belongs to, if anything.
        args: what an older class hands on; not used.
        kwargs: likewise.
    """

    def __init__(
        self, configuration: t.Any = None, provider: t.Any = None, *args: t.Any, **kwargs: t.Any
    ) -> None:
        self._configuration = configuration
        self._provider = provider

    @classmethod
    def from_options(cls, name: str, options: t.Mapping[str, t.Any], provider: t.Any = None) -> t.Self:
        """Make a provider of this type: what the configuration of a session calls.

        Args:
            name: the configured name.
            options: what the configuration says of it, less ``type``.
            provider: what it belongs to, if anything.

        Returns:
            the provider, made by its constructor with a `ProviderConfiguration` of the name and the options;
            with the options by name where the constructor's first parameter is not ``configuration``.

        Raises:
            ConfigError: an option cannot be used, or one is missing.
        """
        if not takes_configuration(cls):
            made: t.Self = _made_by_names(cls, f"provider {name!r}", name, options, provider)
            return made
        return cls(ProviderConfiguration(name, **options), provider)

    def configuration(self) -> t.Any:
        """Return what the provider was configured with.

        Returns:
            None where it has no configuration.
        """
        return self._configuration

    @abstractmethod
    def backends(
        self, name: str | None = None, filters: t.Callable[[t.Any], bool] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        """Return the backends that match.

        Args:
            name: only the one of this name.
            filters: only those for which this returns True.
            kwargs: only those with these attributes, as `filter_backends` has them.

        Returns:
            the backends, in the provider's own order; none where none matches.

        Raises:
            BackendError: no backend has an attribute of that name, or the provider cannot be asked now.
        """

    def get_backend(self, name: str | None = None, **kwargs: t.Any) -> t.Any:
        """Return the one backend that matches.

        Args:
            name: its name; None leaves it to the filters.
            kwargs: attributes that it has, as `filter_backends` has them.

        Returns:
            the backend.

        Raises:
            BackendNotFoundError: none matches, or several do.
        """
        found = self.backends(name, **kwargs)
        if len(found) == 1:
            return found[0]
        asked = ", ".join(
            [repr(name)] * (name is not None) + [f"{key}={value!r}" for key, value in kwargs.items()]
        )
        if not found:
            raise BackendNotFoundError(
                f"provider {self} has no backend that matches {asked or 'this'}: "
                "backends() gives those that it has"
            )
        names = ", ".join(sorted(str(backend) for backend in found))
        raise BackendNotFoundError(
            f"provider {self} has {len(found)} backends that match {asked or 'everything'} "
            f"({names}): name one, or add filters"
        )

    def close(self) -> None:
        """Let go of what the provider holds. May be called twice."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _configured(other) == _configured(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __str__(self) -> str:
        name = getattr(self._configuration, "provider_name", None)
        return str(name) if name else type(self).__name__

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({str(self)!r})>"

    _configuration: t.Any = None
    _provider: t.Any = None


def _configured(provider: BaseProvider) -> t.Any:
    """What a session configured a provider with; None for one that a program made in its own way."""
    configuration = provider._configuration
    return configuration if isinstance(configuration, _Record) else None


def takes_configuration(found: type) -> bool:
    """Tell whether a constructor takes a configuration, and not the options by their names.

    Args:
        found: a class of backends or providers.
    """
    code = getattr(found.__init__, "__code__", None)  # type: ignore[misc]
    if code is None:
        return True
    if code.co_argcount > 1:
        return bool(code.co_varnames[1] == "configuration" or code.co_posonlyargcount > 1)
    return bool(code.co_flags & _VARARGS)


_VARARGS, _VARKEYWORDS = 0x04, 0x08


def _made_by_names(
    found: t.Any, what: str, name: str, options: t.Mapping[str, t.Any], provider: t.Any
) -> t.Any:
    """Call a constructor with options by name, and with ``name`` and ``provider`` where it has these."""
    code = found.__init__.__code__
    count = code.co_argcount
    names = code.co_varnames[1 : count + code.co_kwonlyargcount]
    defaults = count - len(found.__init__.__defaults__ or ())
    optional = {*code.co_varnames[defaults:count], *(found.__init__.__kwdefaults__ or ())}
    given = {key: value for key, value in (("name", name), ("provider", provider)) if key in names}
    given.update(options)
    unknown = [] if code.co_flags & _VARKEYWORDS else [key for key in options if key not in names]
    if unknown:
        taken = ", ".join(repr(key) for key in names if key not in ("name", "provider"))
        surplus = ", ".join(map(repr, unknown))
        if taken:
            raise ConfigError(f"{what} ({found.__name__}) takes no options but {taken}: remove {surplus}")
        raise ConfigError(f"{what} ({found.__name__}) takes no options: remove {surplus}")
    missing = [key for key in names if key not in given and key not in optional]
    if missing:
        raise ConfigError(
            f"{what} ({found.__name__}) needs {', '.join(map(repr, missing))}: its constructor takes options "
            "by their names, so set them in the configuration"
        )
    from anyjob.config.secrets import revealed

    return found(**{key: revealed(value) for key, value in given.items()})


_ABSENT = object()


def filter_backends(
    backends: t.Iterable[t.Any], filters: t.Callable[[t.Any], bool] | None = None, **kwargs: t.Any
) -> list[t.Any]:
    """Return those backends that match.

    Args:
        backends: the ones to choose from.
        filters: a function of a backend; those for which it returns True are kept.
        kwargs: values of attributes of the backend's configuration, its properties, or its status
            (asked only for what neither of the two has).

    Returns:
        those that match, in the order given.

    A backend that cannot be asked now (any exception) does not match, and is reported by the logger
    ``anyjob``; where none can be, that is raised.

    Raises:
        BackendError: no backend has an attribute of that name.
    """
    every = kept = list(backends)
    for key, wanted in kwargs.items():
        values, failed = _attributes(every, key)
        if every and all(value is _ABSENT for value in values.values()):
            if failed is not None:
                raise failed
            raise BackendError(
                f"unknown filter {key!r}: no backend has it in its configuration, properties or status"
            )
        kept = [b for b in kept if values[id(b)] is not _ABSENT and values[id(b)] == wanted]
    return [backend for backend in kept if filters is None or filters(backend)]


def _attributes(backends: t.Iterable[t.Any], key: str) -> tuple[dict[int, t.Any], Exception | None]:
    """Return the attribute of each backend, by its identity; and what kept one of them from being asked."""
    from anyjob.reporting import report

    values: dict[int, t.Any] = {}
    failed = None
    for backend in backends:
        try:
            values[id(backend)] = _attribute(backend, key)
        except Exception as error:
            values[id(backend)], failed = _ABSENT, error
            report("backend %s cannot be asked for %r: %s", backend, key, in_words(error))
    return values, failed


def _attribute(backend: t.Any, key: str) -> t.Any:
    for source in (backend.configuration, backend.properties, backend.status):
        value = getattr(source(), key, _ABSENT)
        if value is not _ABSENT:
            return value
    return _ABSENT

"""A provider: an account or a cluster that offers several backends, and how one of them is chosen.

The interface is that of ``BaseProvider`` in Qiskit's original provider interface (``qiskit.providers``,
0.7 to 0.17), with its meaning kept and its traps removed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from anyjob import _typing as t
from anyjob.backend import Record
from anyjob.errors import BackendError, BackendNotFoundError, ConfigError, in_words

TYPE_CHECKING = False
AT_ONCE = 64
"""Backends that are asked at a time, at most."""


class ProviderConfiguration(Record):
    """What a provider was configured with: ``provider_name``, and its options as attributes."""

    provider_name: str

    def __init__(self, provider_name: str, **options: t.Any) -> None:
        super().__init__(provider_name=provider_name)
        self._conceal(options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> t.Any: ...


class BaseProvider(ABC):
    """An account or a cluster that offers several backends.

    Two providers of one class are equal, unless they were configured differently. Subclasses bring
    ``backends``, usually by way of `filter_backends`. One with options of its own declares them as
    ``Options``, a msgspec struct, and finds them in ``self.options``.

    Args:
        configuration: has ``provider_name`` and the options as attributes, where there is one.
        provider: what it belongs to, if anything.
        args: what an older class hands on; not used.
        options: the options, where the class declares some.
        kwargs: what an older class hands on; not used.
    """

    BackendOptions: t.Any = None
    """What the configuration of one backend may say, in ``[backends.NAME]``: a msgspec struct, if anything.

    A field that ``Options`` has, too, is for a backend that does not say as the provider has it.
    """
    options: t.Any = None
    """The options, as ``Options`` has them; None where the class declares none."""

    def __init__(
        self,
        configuration: t.Any = None,
        provider: t.Any = None,
        *args: t.Any,
        options: t.Any = None,
        **kwargs: t.Any,
    ) -> None:
        self._configuration = configuration
        self._provider = provider
        if options is not None:
            self.options = options

    @classmethod
    def from_options(cls, name: str, options: t.Mapping[str, t.Any], provider: t.Any = None) -> t.Self:
        """Make a provider of this type: what the configuration of a session calls.

        Args:
            name: the configured name.
            options: what the configuration says of it, less ``type``.
            provider: what it belongs to, if anything.

        Returns:
            the provider, made by its constructor with a `ProviderConfiguration` of the name and the options;
            with the options by name where the constructor's first parameter is not ``configuration``. Where
            the class has ``Options``, they are checked, and ``options`` of the provider.

        Raises:
            ConfigError: an option cannot be used, or one is missing.
        """
        from anyjob.config.construction import made_of_options

        made: t.Self = made_of_options(cls, "provider", ProviderConfiguration, name, options, provider)
        return made

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
            error = BackendNotFoundError(f"provider {self} has no backend that matches {asked or 'this'}")
            error.add_note("backends() gives those that it has")  # which is for programs only
            raise error
        names = ", ".join(sorted(str(backend) for backend in found))
        raise BackendNotFoundError(
            f"provider {self} has {len(found)} backends that match {asked or 'everything'} "
            f"({names}): name one, or add filters"
        )

    def least_busy(self, filters: t.Callable[[t.Any], bool] | None = None, **kwargs: t.Any) -> t.Any:
        """Return the backend that works and has the fewest jobs waiting, of those that match.

        Args:
            filters: only those for which this returns True.
            kwargs: only those with these attributes, as `filter_backends` has them.

        Returns:
            the backend.

        Raises:
            BackendNotFoundError: none matches and works.
        """
        return least_busy(self.backends(filters=filters, **kwargs), f"provider {self}")

    def configure_backend(self, backend: t.Any, options: t.Any) -> t.Any:
        """Give a backend what the configuration says of it alone: what a session calls with each.

        Args:
            backend: one that `get_backend` gave.
            options: a `BackendOptions`.

        Returns:
            the backend, by default the same with these as its ``options``; or another one made with them.

        Raises:
            ConfigError: this backend cannot have these options.
        """
        backend.options = options
        return backend

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


def backend_options(
    provider_type: t.Any, provider_options: t.Any, account: str, name: str, given: t.Mapping[str, t.Any]
) -> t.Any:
    """Return the ``BackendOptions`` of one backend of a provider; None where its class declares none.

    Args:
        provider_type: the class of the provider.
        provider_options: its options, which hold where the backend does not say.
        account: what the provider is called.
        name: what the backend is called.
        given: what the configuration says of the backend.

    Raises:
        ConfigError: an option is unknown, missing or of the wrong type.
    """
    declared = provider_type.BackendOptions
    if declared is not None:
        from anyjob.config.options import validate_options

        return validate_options(declared, given, where=f"backend {name!r}", defaults=provider_options)
    if given:
        where = getattr(given, "where", str)() or f"backend {name!r}"
        raise ConfigError(
            f"{where}: it comes from provider {account!r}, whose type ({provider_type.__name__}) has no "
            f"BackendOptions: move {', '.join(map(repr, given))} to [providers.{account}]"
        )
    return None


def _configured(provider: BaseProvider) -> t.Any:
    """What a session configured a provider with; None for one that a program made in its own way."""
    configuration = provider._configuration
    return configuration if isinstance(configuration, Record) else None


_ABSENT = object()


def filter_backends(
    backends: t.Iterable[t.Any], filters: t.Callable[[t.Any], bool] | None = None, **kwargs: t.Any
) -> list[t.Any]:
    """Return those backends that match.

    Args:
        backends: the ones to choose from.
        filters: a function of a backend; those for which it returns True are kept.
        kwargs: values of attributes of the backend's configuration, its properties, or its status
            (asked only for what neither of the two has; all at the same time). One that cannot be reached
            has none.

    Returns:
        those that match, in the order given.

    A backend that cannot be asked now (any exception) does not match, and is reported by the logger
    ``anyjob``; where none can be, that is raised.

    Raises:
        BackendError: no backend has an attribute of that name.
    """
    every = kept = list(backends)
    for key, wanted in kwargs.items():
        values, failures = _attributes(every, key)
        if every and all(value is _ABSENT for value in values.values()):
            if len(failures) == len(every):
                raise failures[0]
            raise BackendError(
                f"unknown filter {key!r}: no backend has it in its configuration, properties or status"
            )
        kept = [b for b in kept if values[id(b)] is not _ABSENT and values[id(b)] == wanted]
    return [backend for backend in kept if filters is None or filters(backend)]


def _attributes(backends: t.Iterable[t.Any], key: str) -> tuple[dict[int, t.Any], list[Exception]]:
    """Return the attribute of each backend, by its identity; and what kept some from being asked."""
    from anyjob.process.reporting import report

    known = list(backends)
    values: dict[int, t.Any] = {}
    for backend in known:
        try:
            values[id(backend)] = getattr(backend.configuration(), key, _ABSENT)
        except Exception as error:  # of a plugin: told if nothing else matches
            values[id(backend)] = error
    ask = [backend for backend in known if values[id(backend)] is _ABSENT]
    answers = _at_once(lambda backend: _told_attribute(backend, key), ask)
    values.update(zip(map(id, ask), answers, strict=True))
    failures = []
    for backend in known:
        told = values[id(backend)]
        if isinstance(told, Exception):
            values[id(backend)] = _ABSENT
            failures.append(told)
            report("backend %s cannot be asked for %r: %s", backend, key, in_words(told))
    return values, failures


def _told_attribute(backend: t.Any, key: str) -> t.Any:
    """Return the attribute of a backend that it may have to ask its service for; or what it raised."""
    try:
        value = getattr(backend.properties(), key, _ABSENT)
        return getattr(backend.status(), key, _ABSENT) if value is _ABSENT else value
    except Exception as error:  # of a plugin, or a service that is away: told if nothing else matches
        return error


def _at_once(ask: t.Callable[[t.Any], t.Any], backends: t.Sequence[t.Any]) -> list[t.Any]:
    """Return what a function says of each, which is asked about all at the same time."""
    if len(backends) < 2:
        return [ask(backend) for backend in backends]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE, "anyjob-status") as pool:
        return list(pool.map(ask, backends))


def least_busy(backends: t.Iterable[t.Any], who: str = "") -> t.Any:
    """Return the backend that works and has the fewest jobs waiting, by its ``status()``.

    Args:
        backends: the ones to choose from; all are asked at once. One that cannot be asked now does not work.
        who: whose they are, for the error.

    Raises:
        BackendNotFoundError: none works.
    """
    known = list(backends)
    statuses = _at_once(_status_if_it_works, known)
    working = [index for index, status in enumerate(statuses) if status is not None]
    if not working:
        raise BackendNotFoundError(
            f"{who or 'what was asked for'} has no backend that matches and works, of {len(known)}"
        )
    return known[min(working, key=lambda index: statuses[index].pending_jobs)]


def _status_if_it_works(backend: t.Any) -> t.Any:
    try:
        status = backend.status()
    except BackendError:
        return None
    return status if status.operational else None

"""Makes the backends and providers of a session: those configured, those installed, those of the ledger."""

from __future__ import annotations

from anyjob.errors import ConfigError, UnknownNameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from anyjob.ledger.rows import BackendRow
    from anyjob.session.facade import Session
    from anyjob.taskbackend import AnyBackend


class BackendFactory:
    """Makes what is asked for anew each time, and lets it know whose it is.

    Args:
        session: whose backends and providers these are.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._config = session.config
        self._is_checked = False

    def make(self, name: str, overrides: Mapping[str, Any]) -> AnyBackend:
        """Make the backend of this name.

        Args:
            name: a configured name, ``provider/backend``, or an installed type.
            overrides: options in place of those configured.

        Raises:
            AnyjobError: as `Session.get_backend` says.
        """
        if not self._is_checked:
            self._is_checked = True
            for problem in self._config.problems():  # what it says in vain was meant to be used
                from anyjob.reporting import report

                report("%s", problem)
        entry = self._config.entry("backends", name)
        kind = entry.type if entry else name
        options: Mapping[str, Any] = entry.options if entry else {}
        provider, slash, rest = kind.partition("/")
        if slash:
            return self._offered(name, provider, rest, {**options, **overrides})
        backend_type = self._find("backend", name, kind, self._session.registry.backend)
        if overrides:
            given = {"backends": {name: {"type": kind, **overrides}}}
            changed = self._config.with_overrides(given, origin=f"get_backend({name!r}, …)")
            options = changed.backends[name].options
        options = _prepared(backend_type, options)
        backend: AnyBackend = backend_type.from_options(name, options)
        origin = self._session.registry.origin("anyjob.backends", kind)
        distribution = origin.distribution if origin else ""
        self._adopt(backend, kind, distribution, lambda: _identified(name, kind, distribution, options))
        return backend

    def _offered(self, name: str, provider: str, rest: str, options: Mapping[str, Any]) -> AnyBackend:
        """Make a backend that a provider offers."""
        if options:
            raise ConfigError(
                f"backend {name!r} comes from provider {provider!r}, which it gets its options from: move "
                + ", ".join(repr(key) for key in options)
                + f" to [providers.{provider}]"
            )
        backend: AnyBackend = self._session.get_provider(provider).get_backend(rest)
        entry = self._config.entry("providers", provider)
        kind = f"{entry.type if entry else provider}/{rest}"
        of_provider: Mapping[str, Any] = entry.options if entry else {}
        self._adopt(backend, kind, "", lambda: _identified(name, kind, "", of_provider))
        if hasattr(backend, "launch"):
            backend.provider_options = of_provider
        return backend

    def make_provider(self, name: str) -> Any:
        """Make the provider of this name: a configured one, or an installed type.

        Raises:
            AnyjobError: as `Session.get_provider` says.
        """
        entry = self._config.entry("providers", name)
        kind, options = (entry.type, entry.options) if entry else (name, {})
        provider_type = self._find("provider", name, kind, self._session.registry.provider)
        return provider_type.from_options(name, _prepared(provider_type, options))

    def remake(self, row: BackendRow) -> Any:
        """Make a backend as it was when it was given a job, for one that is configured no more.

        Raises:
            PluginError: its type is not installed any more.
            ConfigError: its options cannot be used any more.
        """
        from anyjob.ledger.identity import usable_options

        registry, options = self._session.registry, usable_options(row)
        provider, slash, rest = row.type.rpartition("/")
        if slash:
            provider_type = registry.provider(provider)
            offers = provider_type.from_options(provider, _prepared(provider_type, options))
            backend = offers.get_backend(rest)
        else:
            backend_type = registry.backend(row.type) if ":" not in row.type else _imported(row.type)
            backend = backend_type.from_options(row.label, _prepared(backend_type, options))
        backend.ledger_row = row
        self.adopt(backend, row)
        return backend

    def adopt(self, backend: Any, row: BackendRow) -> None:
        """Let a backend that stands for one of the ledger know whose it is."""
        self._adopt(backend, row.type, row.distribution, lambda: row)

    def _adopt(
        self, backend: Any, type_name: str, distribution: str, identify: Callable[[], BackendRow]
    ) -> None:
        from anyjob.backend import BaseBackend

        if hasattr(backend, "services") and hasattr(backend, "launch"):
            backend.services = self._session.services
            backend.type_name, backend.distribution = type_name, distribution
        elif isinstance(backend, BaseBackend):
            from anyjob.session.plain_backend import PlainRun

            PlainRun(self._session, backend, identify)

    def _find(self, what: str, name: str, kind: str, look_up: Callable[[str], Any]) -> Any:
        """Return the class of this type, or say what else the name may have been meant to be."""
        try:
            return look_up(kind)
        except UnknownNameError as error:
            configured = self._config.backends if what == "backend" else self._config.providers
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


def _prepared(found_type: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options for a type that declares none of its own: their secrets are to be resolved at use."""
    if not options or hasattr(found_type, "Options"):
        return options
    from anyjob.config.secrets import from_config

    return from_config(options, getattr(options, "where", str))


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

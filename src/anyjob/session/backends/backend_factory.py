"""Makes the backends and providers of a session: those configured, those installed, those of the ledger."""

from __future__ import annotations

from anyjob import _typing as t
from anyjob.backend import BaseBackend
from anyjob.config.construction import options_type
from anyjob.config.layers.origins import Origin, Values
from anyjob.errors import AnyjobError, BackendError, ConfigError, PluginError, UnknownNameError, in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from anyjob.ledger.rows import BackendRow
    from anyjob.taskbackend import AnyBackend


class BackendFactory:
    """Makes what is asked for anew each time, and lets it know whose it is.

    Args:
        session: whose backends and providers these are.
    """

    def __init__(self, session: t.Session) -> None:
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
                from anyjob.process.reporting import report

                report("%s", problem)
        entry = self._config.entry("backends", name)
        kind = entry.type if entry else name
        options = self._options(name, overrides)
        if "/" in kind:
            return self._offered(name, kind, options)
        backend_type = self._find("backend", name, kind, self._session.registry.backend)
        backend: AnyBackend = backend_type.from_options(name, _prepared(backend_type, options))
        backend.configured_name = name
        if hasattr(backend, "share"):
            backend.share(self._config.resources)
        distribution, kind = self._origin("anyjob.backends", kind)
        has_options = options_type(backend_type) is not None

        def identify() -> BackendRow:
            from anyjob.ledger.identity import plain_identity

            return plain_identity(name, kind, distribution, backend.options if has_options else options)

        self._adopt(backend, kind, distribution, identify)
        return backend

    def _options(self, name: str, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is configured of a backend of its own, and what a caller has in place of it."""
        entry, origin = self._config.entry("backends", name), f"get_backend({name!r}, …)"
        if overrides and "/" in name:
            return Values(overrides, name, {"": Origin("arguments", label=origin)})
        if overrides:
            given = {"backends": {name: {"type": entry.type if entry else name, **overrides}}}
            changed = self._config.with_overrides(given, origin=origin)
            entry = changed.backends[name]
        return entry.options if entry else {}

    def _offered(self, name: str, kind: str, options: Mapping[str, Any]) -> AnyBackend:
        """Make a backend that a provider offers."""
        from anyjob.session.providers.account_errors import offered

        account, _, asked = kind.partition("/")
        provider: Any = self._session.get_provider(account)
        own = self._own_options(account, name, options)
        backend = offered(self._session, account, provider, asked)
        if getattr(backend, "configured_name", ""):
            # Its provider gives the same object each time, and that has a name and options already.
            provider = self._session.another_provider(account)
            backend = offered(self._session, account, provider, asked)
        # What was asked for may stand for another one: that which was renamed, or is least busy now.
        found = str(getattr(backend.configuration(), "backend_name", asked))
        label = f"{account}/{found}" if name == kind else name
        return self._taken_in(backend, provider, own, self._offered_row(label, account, found, own))

    def take(self, account: str, backend: Any) -> AnyBackend | None:
        """Return what a provider offers as ``PROVIDER/BACKEND`` of the session; None where it is configured.

        Raises:
            AnyjobError: it cannot be used without options of its own.
        """
        own_name = str(getattr(backend.configuration(), "backend_name", backend.name()))
        name = f"{account}/{own_name}"
        if any(entry.type == name for entry in self._config.backends.values()):
            return None

        def make() -> AnyBackend:
            if backend.configured_name:  # it is shared with another name
                return self.make(name, {})
            own = self._own_options(account, name, {})
            provider = self._session.get_provider(account)
            return self._taken_in(backend, provider, own, self._offered_row(name, account, own_name, own))

        return self._session.known_backend(name, make)

    def _given(self, account: str, provider: Any, given: Any) -> Any:
        """Return what a program gets of a provider itself: backends of this session."""
        if not isinstance(given, list):
            return self._given_one(account, provider, given)
        taken = []
        for backend in given:
            try:
                taken.append(self._given_one(account, provider, backend))
            except AnyjobError as error:  # it needs options of its own: the others are there
                self._session.report_once(f"{account}/{backend.name()}", error)
        return taken

    def _given_one(self, account: str, provider: Any, backend: Any) -> Any:
        if getattr(backend, "configured_name", ""):  # it is the same object each time, and ours already
            return backend
        own_name = str(getattr(backend.configuration(), "backend_name", backend.name()))
        name = f"{account}/{own_name}"
        own = self._own_options(account, name, {})
        taken = self._taken_in(backend, provider, own, self._offered_row(name, account, own_name, own))
        return self._session.keep(taken)

    def _taken_in(self, backend: Any, provider: Any, options: Any, row: BackendRow) -> AnyBackend:
        """Let a backend of a provider know its options, and what it is called here."""
        if options is not None:
            backend = provider.configure_backend(backend, options)
        self.adopt(backend, row)
        taken: AnyBackend = backend
        return taken

    def offered_row(self, name: str) -> BackendRow:
        """Return what a backend of a provider is for the ledger, without asking the provider.

        Raises:
            AnyjobError: the provider cannot be made, or the options cannot be used.
        """
        entry = self._config.entry("backends", name)
        account, _, asked = (entry.type if entry else name).partition("/")
        own = self._own_options(account, name, entry.options if entry else {})
        return self._offered_row(name, account, asked, own)

    def _own_options(self, account: str, name: str, given: Mapping[str, Any]) -> Any:
        from anyjob.provider import backend_options

        provider: Any = self._session.get_provider(account)
        return backend_options(type(provider), provider.options, account, name, given)

    def _offered_row(self, label: str, account: str, own_name: str, options: Any) -> BackendRow:
        from anyjob.ledger.identity import offered_identity

        provider: Any = self._session.get_provider(account)
        entry = self._config.entry("providers", account)
        kind = entry.type if entry else account
        typed = options_type(type(provider)) is not None
        of_provider = provider.options if typed else entry.options if entry else {}
        distribution, kind = self._origin("anyjob.providers", kind)
        return offered_identity(label, f"{kind}/{own_name}", distribution, account, of_provider, options)

    def _origin(self, group: str, kind: str) -> tuple[str, str]:
        """Return what brings a type, and the name that it has now."""
        origin = self._session.registry.origin(group, kind)
        return (origin.distribution, origin.renamed or kind) if origin else ("", kind)

    def make_provider(self, name: str) -> Any:
        """Make the provider of this name: a configured one, or an installed type.

        Raises:
            AnyjobError: as `Session.get_provider` says.
        """
        entry = self._config.entry("providers", name)
        kind, options = (entry.type, entry.options) if entry else (name, {})
        provider_type = self._find("provider", name, kind, self._session.registry.provider)
        try:
            provider = provider_type.from_options(name, _prepared(provider_type, options))
        except ConfigError as error:
            from anyjob.session.providers.account_errors import accounts_of

            accounts = [] if entry else accounts_of(name, self._config.providers)
            if not accounts:
                raise
            raise ConfigError(
                f"provider {name!r} is a type of providers that cannot be used as it is; "
                f"configured of it: {', '.join(accounts)}: name one of these\n{error}"
            ) from error
        from anyjob.session.providers.provider_calls import take_from

        take_from(provider, name, lambda given: self._given(name, provider, given))
        return provider

    def remake(self, row: BackendRow) -> Any:
        """Make a backend as it was when it was given a job, for one that is configured no more.

        Raises:
            PluginError: its type is not installed any more.
            ConfigError: its options cannot be used any more.
        """
        from anyjob.ledger.identity import usable_options
        from anyjob.provider import backend_options

        registry, options = self._session.registry, usable_options(row)
        provider_type, slash, own_name = row.type.partition("/")
        if slash:
            cls = registry.provider(provider_type)
            account = row.account or provider_type
            provider = cls.from_options(account, _prepared(cls, options["provider"]))
            own = backend_options(cls, provider.options, account, row.label, options["backend"])
            return self._taken_in(provider.get_backend(own_name), provider, own, row)
        backend_type = registry.backend(row.type) if ":" not in row.type else _imported(row.type)
        try:
            backend = backend_type.from_options(row.label, _prepared(backend_type, options))
        except Exception as error:
            if ":" not in row.type or isinstance(error, BackendError):  # its service says so
                raise
            raise PluginError(
                "a program made it by itself, and its options alone do not make it anew "
                f"({in_words(error)}). Jobs are known to every process whose backend is configured, or comes "
                "from a provider that is"
            ) from error
        self.adopt(backend, row)
        return backend

    def adopt(self, backend: Any, row: BackendRow) -> None:
        """Let a backend that stands for one of the ledger know whose it is, and what it is called."""
        backend.configured_name = row.label
        if hasattr(backend, "launch"):
            backend.ledger_row = row
        self._adopt(backend, row.type, row.distribution, lambda: row)

    def _adopt(
        self, backend: Any, type_name: str, distribution: str, identify: Callable[[], BackendRow]
    ) -> None:
        if hasattr(backend, "services") and hasattr(backend, "launch"):
            backend.services = self._session.services
            backend.type_name, backend.distribution = type_name, distribution
        elif isinstance(backend, BaseBackend):
            from anyjob.session.backends.plain_backend import PlainRun

            PlainRun(self._session, backend, identify)

    def _find(self, what: str, name: str, kind: str, look_up: Callable[[str], Any]) -> Any:
        """Return the class of this type, or say what else the name may have been meant to be."""
        try:
            return look_up(kind)
        except UnknownNameError as error:
            from anyjob.session.providers.account_errors import name_a_machine
            from anyjob.text.suggestions import few, nearest

            configured = self._config.backends if what == "backend" else self._config.providers
            account = name_a_machine(kind, self._config.providers) if what == "backend" else ""
            if name in configured:
                raise UnknownNameError(
                    f"{what} {name!r} is configured to be of type {kind!r}: {account or error}"
                ) from None
            if account:
                raise UnknownNameError(account) from None
            if not configured:
                raise

            near = nearest(name, configured)
            hint = f"; did you mean the configured {near!r}?" if near else ""
            raise UnknownNameError(f"{error}\nconfigured: {few(name, configured)}{hint}") from None


def _prepared(found_type: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options for a type that declares none of its own: their secrets are to be resolved at use."""
    if not options or options_type(found_type) is not None:
        return options
    from anyjob.config.secrets import from_config

    return from_config(options, getattr(options, "where", str))


def _imported(path: str) -> Any:
    from importlib import import_module

    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found

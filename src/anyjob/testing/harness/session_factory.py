"""Makes the session in which a backend or a provider is tested: in this process, and in others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from anyjob.config.settings import Config
from anyjob.registry.lookup import Registry
from anyjob.session.facade import Session
from anyjob.testing.environment.foreign_hooks import leave_out_foreign_hooks

NAME = "under-test"
"""The configured name of the backend, or the provider, that is tested."""
ACCOUNT = "account"
"""The configured name of the provider that a backend under test comes from."""
OTHER = "another"
"""The configured name of a second provider of the type that is tested."""


class SessionFactory(NamedTuple):
    """What any process needs to make the same session. Can be pickled.

    Args:
        type_name: the type of what is tested, as registered; ``PROVIDER TYPE/BACKEND`` for one of a provider.
        plugin_class: its class, where it is not installed.
        options: what the configuration says of it.
        state: the directory that durable backends keep their jobs in.
        section: where the configuration says that.
        accounts: what the configuration says of further providers, by their names.
        foreign_hooks: whether the hooks of other distributions are called.
    """

    type_name: str
    plugin_class: type[Any] | None
    options: Mapping[str, Any]
    state: Path
    section: Literal["backends", "providers"] = "backends"
    accounts: Mapping[str, Mapping[str, Any]] = {}
    foreign_hooks: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether the type is found by its name, and not given as a class."""
        return self.plugin_class is None

    def make_session(self) -> Session:
        """Make the session."""
        registry = Registry()
        if self.plugin_class is not None:
            register = registry.register_backend if self.section == "backends" else registry.register_provider
            register(self.type_name, self.plugin_class)
        _, offered, own_name = self.type_name.partition("/")
        if not self.foreign_hooks:
            leave_out_foreign_hooks(registry, f"anyjob.{self.section}", self.type_name)
        type_name = f"{ACCOUNT}/{own_name}" if offered else self.type_name
        tables: dict[str, Any] = {"providers": dict(self.accounts), "backends": {}}
        tables[self.section][NAME] = {"type": type_name, **self.options}
        config = Config.from_dict(tables, origin="the conformance kit")
        return Session(config=config, registry=registry, state=self.state)

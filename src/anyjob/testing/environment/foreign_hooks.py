"""Leaves out what other distributions do beside what is tested: a policy of theirs is no fault of it."""

from __future__ import annotations

from anyjob.registry.entry_points import BACKENDS, PROVIDERS
from anyjob.registry.lookup import Registry
from anyjob.session.facade import Session


def leave_out_foreign_hooks(registry: Registry, group: str, name: str) -> list[str]:
    """Have no hooks called but those of the distribution that a name comes from.

    Those that a program has registered are called, too. Returns the distributions that are left out.

    Args:
        registry: who calls them.
        group: the entry-point group of the name.
        name: what is tested; ``PROVIDER/BACKEND`` comes from where the provider does.
    """
    kind, offered, _ = name.partition("/")
    found = registry.origin(PROVIDERS if offered else group, kind)
    return registry.hooks.restrict("" if found is None else found.distribution)


def leave_out_hooks_foreign_to(session: Session, backend: str) -> list[str]:
    """As `leave_out_foreign_hooks`, by the name that a backend has in a session."""
    entry = session.config.backends.get(backend)
    kind, slash, rest = (entry.type if entry else backend).partition("/")
    account = session.config.providers.get(kind) if slash else None
    name = f"{account.type if account else kind}{slash}{rest}"
    return leave_out_foreign_hooks(session.registry, BACKENDS, name)

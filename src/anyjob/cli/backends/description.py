"""What ``anyjob backends show`` tells of a backend, as plain data."""

from __future__ import annotations

from typing import Any

from anyjob.backend import Capabilities
from anyjob.cli.backends.option_lines import as_provider, option_lines, origin_and_class
from anyjob.config.construction import options_type
from anyjob.errors import AnyjobError, UnknownNameError
from anyjob.registry.entry_points import BACKENDS, PROVIDERS
from anyjob.session.facade import Session


def describe_backend(session: Session, name: str) -> dict[str, Any]:
    """Return what can be said of a backend, also where it cannot be made; secrets are masked."""
    from anyjob.cli.backends.far_side import offers_there
    from anyjob.session.backends.config_check import provider_type

    entry = session.config.entry("backends", name)
    kind = entry.type if entry else name
    account, slash, _ = kind.partition("/")
    known = session.config.entry("providers", account) if slash else None
    if slash:
        found: type[Any] = type(session.get_backend(name))
        of_provider = provider_type(session, kind)
        reference = session.registry.origin(PROVIDERS, known.type if known else account)
        shared = option_lines(session, known, options_type(of_provider), "providers")
        own = option_lines(session, entry, of_provider.BackendOptions)
        options = [as_provider(each, shared) for each in own]
        options += [{**each, "name": f"providers.{account}.{each['name']}"} for each in shared]
    else:
        try:
            found = session.registry.backend(kind)
        except UnknownNameError:
            session.get_backend(name)  # whose error names what is configured, too
            raise
        reference = session.registry.origin(BACKENDS, kind)
        options = option_lines(session, entry, options_type(found))
    there = offers_there(session, name)  # by which it is known what it can do
    return {
        "name": name,
        "type": kind,
        "provider": account if slash else None,
        **origin_and_class(reference, found),
        "accepts": sorted(getattr(found, "accepts", ())),
        "capabilities": _capabilities(session, name, found).to_dict(),
        "there": there,
        "options": options,
        "set": _ask(session, name, "set_now") or {},
        "gpus": _ask(session, name, "find_gpus") or [],
        "memory_limit": _ask(session, name, "find_memory_limit"),
    }


def _ask(session: Session, name: str, what: str) -> Any:
    """Ask a backend what not each can tell; None where it cannot, or cannot be made."""
    try:
        backend = session.get_backend(name)
        return getattr(backend, what)() if hasattr(backend, what) else None
    except AnyjobError:
        return None


def _capabilities(session: Session, name: str, found: Any) -> Capabilities:
    """What the backend as configured can do; what its class says, where it cannot be made."""
    try:
        capabilities: Capabilities = session.get_backend(name).capabilities
    except AnyjobError:
        capabilities = found.capabilities
    return capabilities

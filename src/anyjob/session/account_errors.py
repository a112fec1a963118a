"""What is said of accounts where a name of a backend, or an account itself, leads nowhere."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyjob.config.settings import Entry


def name_a_machine(kind: str, providers: Mapping[str, Entry]) -> str:
    """Return the error for an account, or a type of accounts, where a backend is named; empty: it is neither.

    Args:
        kind: what was to be a backend.
        providers: the configured accounts.
    """
    if kind in providers:
        return (
            f"no backend is called {kind!r}: it is a provider, which offers backends: name one of them, as "
            f"{kind}/NAME; `anyjob providers check {kind}` lists them"
        )
    accounts = accounts_of(kind, providers)
    if not accounts:
        return ""
    return (
        f"no backend is called {kind!r}: it is a type of providers, and configured of it: "
        f"{', '.join(accounts)}: name a backend of one, as {accounts[0]}/NAME; "
        f"`anyjob providers check {accounts[0]}` lists them"
    )


def accounts_of(kind: str, providers: Mapping[str, Entry]) -> list[str]:
    """Return the names of the configured accounts of a type."""
    return sorted(name for name, entry in providers.items() if entry.type == kind and name != kind)

"""What is said of accounts: where a name leads nowhere, and where they are refused."""

from __future__ import annotations

from anyjob import _typing as t
from anyjob.errors import BackendAuthError, BackendNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

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


def offered(session: t.Session, account: str, provider: Any, asked: str) -> Any:
    """Return a backend of an account.

    Raises:
        BackendNotFoundError: it has none that is called so; the nearest of those that are known is named. The
            service is not asked again for the sake of a message.
        BackendAuthError: it is refused; the account, and where its secrets are configured, are named.
        AnyjobError: whatever else the provider raises.
    """
    from anyjob.session.providers.provider_calls import as_it_gives

    try:
        with as_it_gives(provider):
            return provider.get_backend(asked)
    except BackendNotFoundError as error:
        from anyjob.text.suggestions import few, nearest

        known = _known_machines(session, account)
        near = nearest(asked, known)
        hint = f"; did you mean {near!r}?" if near else f"; known of it: {few(asked, known)}" if known else ""
        raise BackendNotFoundError(
            f"{error}{hint}\n`anyjob providers check {account}` lists those that it has"
        ) from error
    except BackendAuthError as error:
        secrets = "".join(f"\n{each}" for each in _secrets(session, account, provider))
        raise BackendAuthError(f"provider {account!r} is refused: {error}{secrets}") from error


def _known_machines(session: t.Session, account: str) -> set[str]:
    """Return what the backends of an account are called, of those configured and those that had jobs."""
    rows = session.ledger.backend_rows().values() if session.ledger.exists else ()
    names = {entry.type for entry in session.config.backends.values()}
    names.update(f"{row.account}/{row.type.partition('/')[2]}" for row in rows if row.account)
    return {own for whose, _, own in (name.partition("/") for name in names) if own and whose == account}


def _secrets(session: t.Session, account: str, provider: Any) -> list[str]:
    """Return where each secret of an account is configured, and where it is read from."""
    from anyjob.config.construction import options_type
    from anyjob.config.options import secret_fields

    entry, declared = session.config.entry("providers", account), options_type(type(provider))
    if entry is None or declared is None:
        return []
    given = {key: getattr(provider.options, key, None) for key in sorted(secret_fields(declared))}
    return [
        f"{entry.options.where(key)} is read from {secret.place()}"
        for key, secret in given.items()
        if secret is not None
    ]

"""What is wrong with a configuration, options and secrets included: `anyjob config check`, for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anyjob import _typing as t
from anyjob.config import notification_channels
from anyjob.config.construction import options_type
from anyjob.config.layers.origins import placed
from anyjob.config.options import validate_options
from anyjob.config.secrets import Secret, from_config
from anyjob.errors import AnyjobError, ConfigError, SecretError, SpecError
from anyjob.provider import backend_options
from anyjob.retry import as_retry
from anyjob.runtime.engine_adapter import CONFIGURED_ALIKE


def declared_options(session: t.Session, entry: Any) -> Any:
    """Return the msgspec struct with the options that an entry may have; None where nothing tells.

    Raises:
        PluginError: its type is not installed, or cannot be used.
    """
    is_provider = session.config.providers.get(entry.name) is entry
    if is_provider:
        return options_type(session.registry.provider(entry.type))
    if "/" in entry.type:
        return provider_type(session, entry.type).BackendOptions
    return options_type(session.registry.backend(entry.type))


def provider_type(session: t.Session, kind: str) -> Any:
    """Return the class of the provider that ``PROVIDER/BACKEND`` comes from.

    Raises:
        PluginError: it is not installed, or cannot be used.
    """
    account = kind.partition("/")[0]
    entry = session.config.providers.get(account)
    return session.registry.provider(entry.type if entry else account)


def problems(session: t.Session) -> Iterator[str]:
    """Yield all that is wrong with a configuration, in words."""
    configured = session.config
    for problem in configured.problems():
        yield str(problem)
    try:
        _ = configured.plugins
    except ConfigError:
        return  # told above; without it, nobody knows which types there are
    for group, entries in (("backends", configured.backends), ("providers", configured.providers)):
        for entry in entries.values():
            yield from _wrong_with(session, group, entry)
    yield from notification_channels.problems(configured)
    try:
        name = configured.default_backend
    except ConfigError:
        return  # told above
    if name and name not in session.backend_names() and "/" not in name and ":" not in name:
        from anyjob.text.suggestions import did_you_mean

        at = configured.origin("default_backend")
        near = did_you_mean(name, session.backend_names())
        yield f"{at}: default_backend: no backend is called {name!r}{near}"


def _wrong_with(session: t.Session, group: str, entry: Any) -> Iterator[str]:
    try:
        declared = declared_options(session, entry)
    except AnyjobError as error:
        yield f"{entry.options.where('type')}: {error}"
        return
    try:
        if group == "backends" and "/" in entry.type:
            of_provider = _options_of_provider(session, entry)
            account = entry.type.partition("/")[0]
            found = provider_type(session, entry.type)
            made = backend_options(found, of_provider, account, entry.name, entry.options)
            own = [name for name in getattr(made, "__struct_fields__", ()) if name in entry.options]
            yield from _unset_secrets(
                [getattr(made, name) for name in own]
            )  # the others are told of its provider
        elif declared is not None:
            alike = CONFIGURED_ALIKE.difference(declared.__struct_fields__)
            checked = validate_options(declared, entry.options, skip=alike)
            if "retries" in alike:
                yield from _wrong_retries(entry)
            yield from _unset_secrets(checked)
        else:
            yield from _unset_secrets(from_config(entry.options, entry.options.where))
    except ConfigError as error:
        yield from str(error).splitlines()


def _wrong_retries(entry: Any) -> Iterator[str]:
    try:
        as_retry(entry.options.get("retries"))
    except SpecError as error:
        key, why = placed(str(error), entry.options)
        yield f"{entry.options.where(key)}: {why}"


def _options_of_provider(session: t.Session, entry: Any) -> Any:
    """The options of a provider, as far as they are right: its backends have them where they do not say."""
    account = session.config.providers.get(entry.type.partition("/")[0])
    declared = options_type(provider_type(session, entry.type))
    try:
        return None if declared is None else validate_options(declared, account.options if account else {})
    except ConfigError:
        return None  # told of the provider itself


def _unset_secrets(value: Any) -> Iterator[str]:
    """Yield what is wrong with the secrets in options; a keyring is left alone, since it may ask its user."""
    if isinstance(value, Secret):
        if "keyring" not in value.reference():
            try:
                value.get()
            except SecretError as error:
                yield str(error)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _unset_secrets(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _unset_secrets(item)
    elif hasattr(value, "__struct_fields__"):
        for name in value.__struct_fields__:
            yield from _unset_secrets(getattr(value, name))

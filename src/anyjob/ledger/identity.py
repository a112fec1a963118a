"""Which backend a job was given to: what it is, whatever it is called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from anyjob.config.secrets import MASK, Secret, mask_secrets
from anyjob.errors import ConfigError
from anyjob.ledger.rows import BackendRow

HOST = os.environ.get("ANYJOB_HOST") or os.uname().nodename
"""What this machine is called, which queues of ours belong to."""


def identity(backend: Any) -> BackendRow:
    """Return what a task backend is: type, distribution, options and, if its queue is ours, host.

    Secrets are there as references. What it is called in the configuration is a label, and no part of that.
    """
    known: BackendRow | None = backend.ledger_row
    if known is not None:
        return known
    host = HOST if backend.queues_in_ledger else ""
    label, options = backend.name(), referred(backend.options)
    return _row(label, backend.type_name, backend.distribution, options, host, (options, label))


def plain_identity(label: str, type_name: str, distribution: str, options: Any) -> BackendRow:
    """Return what a plain backend is."""
    written = _written(options)
    return _row(label, type_name, distribution, written, "", (written, label))


def offered_identity(
    label: str, type_name: str, distribution: str, account: str, provider_options: Any, options: Any
) -> BackendRow:
    """Return what a backend is that a provider offers.

    Args:
        label: what it is called.
        type_name: the type of the provider, and the backend's own name there: ``acme/machine-1``.
        distribution: what brings the provider.
        account: what the provider is called, which is a label, too.
        provider_options: the provider's.
        options: the backend's own, if any.
    """
    counts = {"provider": _written(provider_options), "backend": _written(options)}
    written = {"account": account, **counts}
    return _row(label, type_name, distribution, written, "", (counts, account))


def _row(
    label: str,
    type_name: str,
    distribution: str,
    options: dict[str, Any],
    host: str,
    counts: tuple[dict[str, Any], str],
) -> BackendRow:
    """Return the row of a backend.

    What counts of its options is in its fingerprint; and the name, too, where the options hide a secret that
    stands in the configuration itself, since nothing else tells two accounts apart then.
    """
    known = [type_name, distribution, counts[0], host, *([counts[1]] if _hides(counts[0]) else [])]
    try:
        fingerprint = msgspec.json.encode(known, order="sorted").decode()
    except UnicodeEncodeError:  # of a path that is no UTF-8
        import json

        fingerprint = json.dumps(known, sort_keys=True)
    return BackendRow(fingerprint, label, type_name, distribution, options, host)


def _written(options: Any) -> dict[str, Any]:
    """Return options as plain values; without types, their names are all that tells what is secret."""
    if options is None:
        return {}
    if hasattr(options, "__struct_fields__"):
        return referred(options)
    plain = msgspec.to_builtins(dict(options), enc_hook=_plainly_or_hidden, str_keys=True)
    hidden: dict[str, Any] = mask_secrets(plain, ("backends", ""))
    return hidden


def referred(options: Any) -> dict[str, Any]:
    """Return options as plain values, with references in place of secrets.

    Raises:
        ConfigError: one is of a type that cannot be written down.
    """
    found: dict[str, Any] = msgspec.to_builtins(options, enc_hook=_plainly, str_keys=True)
    return found


def _plainly(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reference()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (Path, str)):  # a subclass of str, of which msgspec knows nothing
        return str(value)
    raise ConfigError(f"an option of type {type(value).__name__} cannot be kept in the ledger: {value!r}")


def _plainly_or_hidden(value: Any) -> Any:
    try:
        return _plainly(value)
    except ConfigError:
        return MASK


def usable_options(row: BackendRow) -> dict[str, Any]:
    """Return the options to make a backend of once more.

    Raises:
        ConfigError: one was a secret that stood in the configuration itself, and so is nowhere else.
    """
    if _hides(row.options):
        raise ConfigError(
            f"backend {row.label!r} (type {row.type!r}) is not configured any more as it was, and cannot "
            "be made anew: an option is a secret that stood in the configuration itself, or is no plain "
            'value. Configure it again as it was; a secret kept elsewhere ({ env = "TOKEN" }) is found again'
        )
    return row.options


def _hides(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_hides, value.values()))
    if isinstance(value, list):
        return any(map(_hides, value))
    return isinstance(value, str) and MASK in value

"""Which backend a job was given to: what it is, whatever it is called."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
    options = backend.options if backend.provider_options is None else backend.provider_options
    host = HOST if backend.queues_in_ledger else ""
    return _row(backend.name(), backend.type_name, backend.distribution, referred(options), host)


def plain_identity(label: str, type_name: str, distribution: str, options: Mapping[str, Any]) -> BackendRow:
    """Return what a plain backend is. Of its options, nothing but their names tells which are secret."""
    plain = msgspec.to_builtins(dict(options), enc_hook=_plainly_or_hidden, str_keys=True)
    hidden = mask_secrets(plain, ("backends", label))
    return _row(label, type_name, distribution, hidden, "")


def _row(label: str, type_name: str, distribution: str, options: dict[str, Any], host: str) -> BackendRow:
    known = [type_name, distribution, options, host]
    try:
        fingerprint = msgspec.json.encode(known, order="sorted").decode()
    except UnicodeEncodeError:  # of a path that is no UTF-8
        import json

        fingerprint = json.dumps(known, sort_keys=True)
    return BackendRow(fingerprint, label, type_name, distribution, options, host)


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
    if isinstance(value, Path):
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

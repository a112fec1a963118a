"""Results as JSON has values: numbers, text, lists and maps by text."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from anyjob.command_result import CommandResult


def to_builtins(value: Any) -> Any:
    """Return a value as numbers, text, None, lists and maps by text: dataclasses and structs are maps.

    What has a ``tolist`` (NumPy's numbers and arrays) is what that gives, paths are text, bytes are Base64.

    Raises:
        TypeError: it holds something that JSON has no form for.
    """
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_other)


def _other(value: Any) -> Any:
    if isinstance(value, CommandResult):
        streams = {"stdout": value.stdout.text(), "stderr": value.stderr.text()}
        return {"exit_code": value.exit_code, **streams}
    for kind in (int, float, str):  # msgspec takes these themselves, and no class that derives from one
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if not isinstance(value, type) and callable(getattr(value, "tolist", None)):
        return value.tolist()
    raise TypeError(f"no JSON is known for a {type(value).__name__}")

"""What a machine said last of its backends: noted, so that they can be listed without asking it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from anyjob.spool.private_files import write_private

if TYPE_CHECKING:
    from anyjob.remote.messages import Hello


class Noted(NamedTuple):
    """What one machine said of its backends.

    Args:
        type: that of the backend here which leads to it.
        host: what it is called.
        used: which of them is used.
        types: the type of each, by its name.
        when: in seconds since 1970.
    """

    type: str
    host: str
    used: str
    types: dict[str, str]
    when: float


def of_hello(type_name: str, hello: Hello, used: str) -> Noted:
    """Return what is to be noted of what the far end has said first."""
    used = used or hello.default
    types = {used: used} | {name: each.type for name, each in hello.backends.items()}
    return Noted(type_name, hello.host, used, types, time.time())


def note(state: Path, name: str, noted: Noted) -> None:
    """Note what the machine of a backend has said; where there is no room for it, nothing is noted."""
    with suppress(OSError):
        write_private(_path(state, name), json.dumps(noted._asdict()).encode())


def noted(state: Path, name: str) -> Noted | None:
    """Return what the machine of a backend has said last; None where nothing is noted."""
    try:
        return Noted(**json.loads(_path(state, name).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _path(state: Path, name: str) -> Path:
    return state / "remote" / "offers" / f"{quote(name, safe='')[:200]}.json"

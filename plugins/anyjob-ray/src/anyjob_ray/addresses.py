"""Addresses of clusters: what ``auto`` stands for, and whether anything answers there.

Ray itself tries for minutes where nobody answers.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from anyjob import BackendUnavailableError

CLIENT = "ray://"
"""How an address begins that Ray's client connects to."""
CLIENT_PORT = 10001


def check_reachable(address: str, timeout: float, name: str) -> None:
    """Connect to an address, and leave it.

    Args:
        address: ``host:port`` or ``ray://host:port``, or ``auto``.
        timeout: seconds to wait for an answer.
        name: the backend, for errors.

    Raises:
        BackendUnavailableError: nothing answers.
    """
    found = _resolve(address)
    if found is None:
        raise BackendUnavailableError(
            f'backend {name!r}: no Ray cluster is found at address "auto": start one by `ray start --head`, '
            "or say its address (RAY_ADDRESS does, too)"
        )
    host, _, port = found.removeprefix(CLIENT).rpartition(":")
    if not host:
        host, port = port, str(CLIENT_PORT)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout):
            return
    except (OSError, ValueError, OverflowError) as error:
        raise BackendUnavailableError(
            f"backend {name!r}: no Ray cluster answers at {found}: {error}"
        ) from error


def _resolve(address: str) -> str | None:
    """Return what ``auto`` stands for now; None: nothing."""
    if address != "auto":
        return address
    stated = os.environ.get("RAY_ADDRESS", "")
    if stated and stated != "auto":
        return stated
    try:
        from ray._private import services

        found: str | None = services.canonicalize_bootstrap_address("auto")
    except (ImportError, AttributeError):  # another version: Ray will say it, if more slowly
        return "127.0.0.1:6379"
    except ConnectionError:
        return None
    return found


def are_same(ray: Any, one: str, other: str) -> bool:
    """Whether two addresses, in names or in numbers, are the same."""
    return _numeric(ray, one) == _numeric(ray, other)


def _numeric(ray: Any, address: str) -> tuple[str, str]:
    """The address in numbers, in which this machine is called as Ray calls it."""
    host, _, port = address.rpartition(":")
    try:
        host = socket.gethostbyname(host.strip("[]"))
    except OSError:
        return host, port
    return (ray.util.get_node_ip_address() if host.startswith("127.") else host), port

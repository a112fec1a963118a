"""The connection of this process to a cluster: Ray allows one at a time, so backends share it."""

from __future__ import annotations

import importlib
import os
import socket
import threading
from typing import Any

from anyjob.errors import BackendAuthError, BackendError, BackendUnavailableError
from anyjob_ray.options import LOCAL, RayOptions

CLIENT = "ray://"
CLIENT_PORT = 10001

_lock = threading.Lock()
_users = 0
_made_for: str | None = None
"""The address that we have connected this process to; None where somebody else has."""


def connect(options: RayOptions, name: str) -> Any:
    """Connect this process to the cluster, unless it is connected; return the module ``ray``.

    Each call is made good by one of `release`.

    Args:
        options: which cluster.
        name: the backend, for errors.

    Raises:
        BackendUnavailableError: nothing answers at the address within the patience.
        BackendAuthError: the cluster refuses our credentials.
        BackendError: it is another version of Ray or Python, ``ray[client]`` is missing, or the process is
            connected to another cluster.
    """
    global _users, _made_for
    with _lock:
        ray = _ray()
        if ray.is_initialized():
            _check_same(ray, options, name)
        else:
            _users = 0
            _init(ray, options, name)
            _made_for = options.address
        _users += 1
        _ship()
        return ray


def release() -> None:
    """Disconnect, if `connect` has connected this process and nobody else uses it; not what others made."""
    global _users, _made_for
    with _lock:
        _users = max(0, _users - 1)
        if not _users and _made_for is not None:
            _made_for = None
            _ray().shutdown()


def renew(options: RayOptions, name: str) -> None:
    """Connect once more, if somebody has disconnected this process; raises as `connect` does."""
    global _made_for
    with _lock:
        ray = _ray()
        if not ray.is_initialized():
            _init(ray, options, name)
            _made_for = options.address


def check(ray: Any, options: RayOptions, name: str) -> None:
    """Knock at the cluster that this process is connected to: Ray takes work for one that is gone.

    Raises:
        BackendUnavailableError: it does not answer.
    """
    if not ray.is_initialized():
        raise BackendUnavailableError(
            f"backend {name!r}: the program has called ray.shutdown(), and so is connected to no cluster"
        )
    made_for = _made_for or options.address
    here = made_for if made_for.startswith(CLIENT) else ray.get_runtime_context().gcs_address
    _knock(here, options.patience, name)


def is_ours() -> bool:
    """Whether `connect` has connected this process, and not the program itself."""
    return _made_for is not None


def is_by_client(ray: Any) -> bool:
    """Whether this process is connected by Ray's client, to a cluster that it is not part of."""
    return bool(ray.util.client.ray.is_connected())


def _ray() -> Any:
    # Read when Ray is imported; said here so that no program reports home since it uses anyjob.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    return ray


def _ship() -> None:
    """Have our functions go to the cluster as they are: it need not have anyjob, nor this version of it."""
    from ray import cloudpickle

    from anyjob.execution import runner
    from anyjob_ray import (
        actors,
        bulk,
        end_listener,
        failures,
        journal,
        nodes,
        recovery,
        replies,
        series,
        submission,
        tasks,
        worker,
    )

    sent = (
        actors,
        bulk,
        end_listener,
        failures,
        journal,
        nodes,
        recovery,
        replies,
        series,
        submission,
        tasks,
        worker,
    )
    for module in (runner, *sent):
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]


def _check_same(ray: Any, options: RayOptions, name: str) -> None:
    wanted = options.address
    if wanted in ("auto", _made_for) or (_made_for is None and wanted == LOCAL):
        return
    if not wanted.startswith(CLIENT):
        here = ray.get_runtime_context().gcs_address
        if _numbers(ray, here) == _numbers(ray, wanted):
            return
    else:
        here = "a cluster"
        if _made_for is None and is_by_client(ray):
            return  # the program has said where
    raise BackendError(
        f"backend {name!r}: this process is connected to {_made_for or here}, and Ray allows one cluster a "
        f"process, so that {wanted} cannot be used: close the other backend, or call ray.shutdown(), first"
    )


def _numbers(ray: Any, address: str) -> tuple[str, str]:
    """The address in numbers, in which this machine is called as Ray calls it."""
    host, _, port = address.rpartition(":")
    try:
        host = socket.gethostbyname(host.strip("[]"))
    except OSError:
        return host, port
    return (ray.util.get_node_ip_address() if host.startswith("127.") else host), port


def _init(ray: Any, options: RayOptions, name: str) -> None:
    known: dict[str, Any] = {"log_to_driver": False, "namespace": options.namespace}
    if options.address.startswith(CLIENT):
        _need_client(name)
    else:
        known |= {"configure_logging": False, "logging_level": "ERROR"}
    if options.address == LOCAL:
        known["include_dashboard"] = False
    else:
        _probe(options, name)
    if options.runtime_env and options.mode == "fast":
        known["runtime_env"] = options.runtime_env
    try:
        ray.init(options.address, **known)
    except Exception as error:
        raise _explained(error, options, name) from error


def _need_client(name: str) -> None:
    try:
        importlib.import_module("grpc")
    except ImportError as error:
        raise BackendError(
            f"backend {name!r}: an address that starts with {CLIENT} needs Ray's client, which is not "
            f"installed ({error}): pip install 'anyjob-ray[client]'"
        ) from error


def _probe(options: RayOptions, name: str) -> None:
    """Knock at the address: Ray itself tries for minutes where nobody answers.

    Raises:
        BackendUnavailableError: nobody does, within the patience.
    """
    address = _found(options.address)
    if address is None:
        raise BackendUnavailableError(
            f'backend {name!r}: no Ray cluster is found at address "auto": start one by `ray start --head`, '
            "or say its address (RAY_ADDRESS does, too)"
        )
    _knock(address, options.patience, name)


def _knock(address: str, patience: float, name: str) -> None:
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host:
        host, port = port, str(CLIENT_PORT)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=patience):
            return
    except (OSError, ValueError, OverflowError) as error:
        raise BackendUnavailableError(
            f"backend {name!r}: no Ray cluster answers at {address}: {error}"
        ) from error


def _found(address: str) -> str | None:
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


def _explained(error: Exception, options: RayOptions, name: str) -> BackendError:
    text = str(error).strip() or type(error).__name__
    head = f"backend {name!r}: "
    chain: BaseException | None = error
    while chain is not None:
        if type(chain).__name__ == "AuthenticationError" or "InvalidAuthToken" in str(chain):
            return BackendAuthError(f"{head}the cluster at {options.address} refuses our token: {chain}")
        chain = chain.__cause__ or chain.__context__
    if "ersion mismatch" in text:
        return BackendError(
            f"{head}Ray and Python must be of one version here and in the cluster at "
            f"{options.address}: {text}"
        )
    if isinstance(error, (ConnectionError, TimeoutError)):
        return BackendUnavailableError(f"{head}no Ray cluster answers at {options.address}: {text}")
    return BackendError(f"{head}cannot connect to the cluster at {options.address}: {text}")

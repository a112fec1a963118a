"""The connection of this process to a cluster: Ray allows one at a time, so backends share it."""

from __future__ import annotations

import atexit
import importlib
import sys
import threading
from typing import Any

from anyjob import BackendAuthError, BackendError, BackendUnavailableError
from anyjob.sdk import in_children
from anyjob_ray.addresses import CLIENT, are_same, check_reachable
from anyjob_ray.library import import_ray
from anyjob_ray.options import LOCAL, RayOptions

_lock = threading.Lock()
_users = 0
_connected_to: str | None = None
"""The address that we have connected this process to; None where somebody else has."""
_is_fork = False
"""Whether this process was forked off one that was connected."""


def _let_go() -> None:
    """In a child of a fork: Ray's threads are not here, and to shut it down would wait for them for ever."""
    global _lock, _users, _connected_to, _is_fork
    ray: Any = sys.modules.get("ray")
    _is_fork = hasattr(ray, "is_initialized") and ray.is_initialized()  # not while it is being imported
    if _connected_to is not None:
        atexit.unregister(ray.shutdown)
    _lock, _users, _connected_to = threading.Lock(), 0, None


in_children(_let_go)


def connect(options: RayOptions, name: str) -> Any:
    """Connect this process to the cluster, unless it is connected; return the module ``ray``.

    Each call is made good by one of `disconnect`.

    Args:
        options: which cluster.
        name: the backend, for errors.

    Raises:
        BackendUnavailableError: nothing answers at the address within the timeout.
        BackendAuthError: the cluster refuses our credentials.
        BackendError: it is another version of Ray or Python, ``ray[client]`` is missing, something hides the
            library, or the process is connected to another cluster.
    """
    global _users, _connected_to
    with _lock:
        ray = import_ray(name)
        if _is_fork:
            raise BackendError(
                f"backend {name!r}: this process was forked off one that was connected to Ray, which "
                "does not survive that: connect after the fork, or start this process as a program of its "
                "own (multiprocessing: the method 'spawn')"
            )
        if ray.is_initialized():
            _check_same_cluster(ray, options, name)
        else:
            _users = 0
            _init(ray, options, name)
            _connected_to = options.address
        _users += 1
        _pickle_ours_by_value()
        return ray


def disconnect() -> None:
    """Disconnect, if `connect` has connected this process and nobody else uses it; not what others made."""
    global _users, _connected_to
    with _lock:
        _users = max(0, _users - 1)
        if not _users and _connected_to is not None:
            _connected_to = None
            import ray

            ray.shutdown()


def reconnect(options: RayOptions, name: str) -> None:
    """Connect once more, if somebody has disconnected this process; raises as `connect` does."""
    global _connected_to
    with _lock:
        ray = import_ray(name)
        if not ray.is_initialized():
            _init(ray, options, name)
            _connected_to = options.address


def check_alive(ray: Any, options: RayOptions, name: str) -> None:
    """Check that the cluster that this process is connected to answers: Ray takes work for one that is gone.

    Raises:
        BackendUnavailableError: it does not.
    """
    if not ray.is_initialized():
        raise BackendUnavailableError(
            f"backend {name!r}: the program has called ray.shutdown(), and so is connected to no cluster"
        )
    address = _connected_to or options.address
    if not address.startswith(CLIENT):
        address = ray.get_runtime_context().gcs_address
    check_reachable(address, options.timeout, name)


def is_ours() -> bool:
    """Whether `connect` has connected this process, and not the program itself."""
    return _connected_to is not None


def uses_ray_client(ray: Any) -> bool:
    """Whether this process is connected by Ray's client, to a cluster that it is not part of."""
    return bool(ray.util.client.ray.is_connected())


def _pickle_ours_by_value() -> None:
    """Have our code go to the cluster as it is: that need not have anyjob, nor this version of it."""
    from ray import cloudpickle

    from anyjob.sdk import runner
    from anyjob_ray import actors, tasks, worker

    for module in (runner, actors, tasks, worker):
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]


def _check_same_cluster(ray: Any, options: RayOptions, name: str) -> None:
    wanted = options.address
    if wanted in ("auto", _connected_to) or (_connected_to is None and wanted == LOCAL):
        return
    if not wanted.startswith(CLIENT):
        here = ray.get_runtime_context().gcs_address
        if are_same(ray, here, wanted):
            return
    else:
        here = "a cluster"
        if _connected_to is None and uses_ray_client(ray):
            return  # the program has said where
    raise BackendError(
        f"backend {name!r}: this process is connected to {_connected_to or here}, and Ray allows one cluster "
        f"a process, so that {wanted} cannot be used: close the other backend, or call ray.shutdown(), first"
    )


def _init(ray: Any, options: RayOptions, name: str) -> None:
    arguments: dict[str, Any] = {"log_to_driver": False, "namespace": options.namespace}
    if options.address.startswith(CLIENT):
        _need_client(name)
    else:
        arguments |= {"configure_logging": False, "logging_level": "ERROR"}
    if options.address == LOCAL:
        arguments["include_dashboard"] = False
    else:
        check_reachable(options.address, options.timeout, name)
    if options.runtime_env and options.mode == "fast":
        arguments["runtime_env"] = options.runtime_env
    try:
        ray.init(options.address, **arguments)
    except Exception as error:
        raise _in_our_words(error, options, name) from error


def _need_client(name: str) -> None:
    try:
        importlib.import_module("grpc")
    except ImportError as error:
        raise BackendError(
            f"backend {name!r}: an address that starts with {CLIENT} needs Ray's client, which is not "
            f"installed ({error}): pip install 'anyjob-ray[client]'"
        ) from error


def _in_our_words(error: Exception, options: RayOptions, name: str) -> BackendError:
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

"""Imports the library Ray, and nothing else that Python finds by that name."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

from anyjob import BackendError

EXTENSION = "ray._raylet"
"""The module by which the library is told from a program ``ray.py``, or a directory ``ray``."""


def import_ray(name: str) -> Any:
    """Return the module ``ray``.

    What hides the library is not imported: that may be the program that runs, which would begin once more.

    Args:
        name: the backend, for errors.

    Raises:
        BackendError: Ray is not installed, or hidden by something else of its name.
    """
    # Read when Ray is imported; said here so that no program reports home since it uses anyjob.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    found = sys.modules.get("ray") or find_spec("ray")
    if found is None:
        raise BackendError(
            f"backend {name!r}: the library Ray is not installed for {sys.executable}: pip install ray"
        )
    path = _package_path(found)
    if path is None or PathFinder.find_spec(EXTENSION, path) is None:
        raise BackendError(
            f"backend {name!r}: `import ray` gives {_origin(found)}, which hides the library Ray: "
            "rename it, or run the program where Python does not find it: it looks beside the program, in "
            "PYTHONPATH and, for `python -c` and `python -m`, in the working directory"
        )
    import ray

    return ray


def _package_path(found: Any) -> list[str] | None:
    """Where the submodules of a module, or of a module spec, are; None: it is no package."""
    path = getattr(found, "__path__", None) or getattr(found, "submodule_search_locations", None)
    return None if path is None else list(path)


def _origin(found: Any) -> str:
    origin = getattr(found, "__file__", None) or getattr(found, "origin", None)
    return str(origin or _package_path(found) or found)

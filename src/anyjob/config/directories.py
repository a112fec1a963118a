"""The directories that platforms have for the configuration and the state of programs."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_BELOW_HOME = {
    "user_config": ("XDG_CONFIG_HOME", ".config"),
    "user_state": ("XDG_STATE_HOME", os.path.join(".local", "state")),
}


def platform_directory(kind: str, environ: Mapping[str, str]) -> str:
    """Return what platformdirs says of an environment, on Linux without the price of its import.

    Args:
        kind: ``site_config``, ``user_config`` or ``user_state``.
        environ: the environment; elsewhere than on Linux it is that of this process.
    """
    if not sys.platform.startswith("linux"):
        import platformdirs

        found: str = getattr(platformdirs, f"{kind}_dir")("anyjob", appauthor=False)
        return found
    if kind == "site_config":
        listed = environ.get("XDG_CONFIG_DIRS", "").split(":")
        return os.path.join(next(filter(os.path.isabs, listed), "/etc/xdg"), "anyjob")
    variable, beside = _BELOW_HOME[kind]
    path = environ.get(variable, "")
    return os.path.join(path if os.path.isabs(path) else os.path.join(_home(environ), beside), "anyjob")


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    if os.path.isabs(home):
        return home
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"

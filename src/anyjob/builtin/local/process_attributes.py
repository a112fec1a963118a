"""What a process inherits beside its environment: umask, niceness, resource limits, processors, signals.

The daemons set their own, whoever starts them; each job gets those of the process that submitted it.
"""

from __future__ import annotations

import os
import resource
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_HARMFUL = ("AS", "CPU", "DATA", "FSIZE", "MEMLOCK", "NPROC", "RSS")
"""Limits that would end a daemon, or keep it from work."""
_AT_LEAST = {resource.RLIMIT_NOFILE: 1024, resource.RLIMIT_STACK: 8 << 20}
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def current() -> dict[str, Any]:
    """Return the attributes of this process, as plain values."""
    return {
        "umask": _umask(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": sorted(os.sched_getaffinity(0)),
        "limits": {number: list(resource.getrlimit(number)) for number in _LIMITS},
    }


def apply(attributes: dict[str, Any]) -> None:
    """Give this process attributes, as far as the system lets it: what was lowered, only root may raise."""
    os.umask(attributes["umask"])
    try:
        os.sched_setaffinity(0, attributes["processors"])
    except (OSError, ValueError):
        pass  # none of them is there any more
    _set_niceness(attributes["nice"])
    for number, (soft, hard) in attributes["limits"].items():
        if number in _LIMITS:
            set_limit(number, soft, hard)


def set_limit(number: int, soft: int, hard: int) -> None:
    """Set a limit of this process; what is above its hard limit becomes that where it may not be raised."""
    try:
        resource.setrlimit(number, (soft, hard))
    except (OSError, ValueError):
        most = resource.getrlimit(number)[1]
        try:
            resource.setrlimit(number, (_least(soft, most), _least(hard, most)))
        except (OSError, ValueError):
            return


def reset() -> None:
    """Give this process the attributes of a daemon, whatever it has inherited."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for ignored in signal.valid_signals() - set(_IGNORED_BY_PYTHON):
        if signal.getsignal(ignored) is signal.SIG_IGN:
            signal.signal(ignored, signal.SIG_DFL)
    os.umask(0o077)
    os.chdir("/")
    try:
        os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
    except OSError:
        pass
    _set_niceness(0)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
            stream.write("0")
    except OSError:
        pass
    for name in _HARMFUL:
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        set_limit(number, hard, hard)
    for number, least in _AT_LEAST.items():
        soft, hard = resource.getrlimit(number)
        if _least(soft, least) == soft:
            set_limit(number, _least(least, hard), hard)


def _set_niceness(value: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, value)
    except OSError:
        return


def _least(one: int, other: int) -> int:
    if resource.RLIM_INFINITY in (one, other):
        return other if one == resource.RLIM_INFINITY else one
    return min(one, other)


def _umask() -> int:
    """Return the umask, without setting it: another thread may make a file just then."""
    with open("/proc/self/status", "rb") as stream:
        for line in stream:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return 0o022

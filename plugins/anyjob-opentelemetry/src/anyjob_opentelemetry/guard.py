"""Errors in telemetry are logged once, and never raised into the program whose jobs it is about."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_reported: set[tuple[str, type[Exception]]] = set()


def log_errors(hook: F) -> F:
    """Have a hook log what it raises, and return None then."""

    @functools.wraps(hook)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return hook(*args, **kwargs)
        except Exception as error:  # of an exporter, or our own: no job fails for its telemetry
            log_once(hook.__name__, error)
            return None

    return wrapper  # type: ignore[return-value]


def log_once(what: str, error: Exception) -> None:
    """Log an error by the logger ``anyjob_opentelemetry``; one of the same kind from there only once."""
    if (what, type(error)) in _reported:
        return
    _reported.add((what, type(error)))
    import logging

    logging.getLogger("anyjob_opentelemetry").warning(
        "%s raised %s: %s (reported once; jobs go on, their telemetry may be incomplete)",
        what,
        type(error).__name__,
        error,
        exc_info=error,
    )

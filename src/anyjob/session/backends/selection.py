"""Which backends of a session can be used, and have what is wanted of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anyjob import _typing as t
from anyjob.provider import filter_backends
from anyjob.runtime.lowering import has_route
from anyjob.specs import kind_of


def select(
    session: t.Session,
    filters: Callable[[Any], bool] | None,
    can_run: Any,
    durable: bool | None,
    offered: bool,
    attributes: Mapping[str, Any],
) -> list[Any]:
    """Return the backends that `Session.backends` is asked for."""
    found = []
    for name in session.backend_names():
        try:
            backend = session.get_backend(name)
            suits = _suits(session, backend, can_run, durable)
        except Exception as error:  # of a plugin, or of a service that is away: the others are asked
            session.report_once(name, error)
            continue
        if suits:
            found.append(backend)
    if offered:
        found += [each for each in session.offers.backends() if _suits(session, each, can_run, durable)]
    if attributes:
        found = filter_backends(found, **attributes)
    return found if filters is None else [each for each in found if _passes(session, each, filters)]


def _passes(session: t.Session, backend: Any, filters: Callable[[Any], bool]) -> bool:
    try:
        return bool(filters(backend))
    except Exception as error:  # of a user's filter, or a plugin: the others are asked
        session.report_once(str(backend), error)
        return False


def _suits(session: t.Session, backend: Any, can_run: Any, durable: bool | None) -> bool:
    # The made backend is asked, not its class: what it is capable of may depend on its options.
    if durable is not None and backend.capabilities.durable is not durable:
        return False
    if can_run is None:
        return True
    kind = can_run if isinstance(can_run, str) else kind_of(can_run)
    return has_route(kind, backend, session.services.job_type)

"""The default session, and the functions of the package ``anyjob``, which use it.

It is the only session that reads files and environment by itself.
"""

from __future__ import annotations

from anyjob.session.current_sessions import default_of, set_default
from anyjob.session.facade import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Concatenate, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


def default_session() -> Session:
    """Return the session that the functions of the package ``anyjob`` use.

    It is made at the first use, of the configuration files and the environment as they are then.
    """
    return default_of(Session)


def set_default_session(session: Session | None) -> None:
    """Have the functions of the package ``anyjob`` use this session; None: make a new one when needed."""
    if session is not None and not isinstance(session, Session):
        raise TypeError(f"the default session is a Session, or None, not {session!r}")
    set_default(session)


def _on_default_session(method: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Return the function that does on the default session what a method does on any."""

    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(default_session(), *args, **kwargs)

    function.__name__ = function.__qualname__ = method.__name__
    function.__doc__ = method.__doc__
    function.__annotations__ = method.__annotations__
    unbound: Any = method
    wrapper: Any = function
    wrapper.__wrapped__ = unbound.__get__(Session)  # bound to something, so that its signature has no self
    return function


get_backend = _on_default_session(Session.get_backend)
get_provider = _on_default_session(Session.get_provider)
get_job_type = _on_default_session(Session.get_job_type)
job_types = _on_default_session(Session.job_types)
backends = _on_default_session(Session.backends)
run = _on_default_session(Session.run)
get_job = _on_default_session(Session.get_job)
jobs = _on_default_session(Session.jobs)
cancel = _on_default_session(Session.cancel)
hold = _on_default_session(Session.hold)
limit = _on_default_session(Session.limit)
release = _on_default_session(Session.release)
pause = _on_default_session(Session.pause)
resume = _on_default_session(Session.resume)
set_priority = _on_default_session(Session.set_priority)
rerun = _on_default_session(Session.rerun)

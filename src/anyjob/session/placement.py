"""What the arguments of a ``run`` mean: which backend, and what its own ``run`` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from anyjob import _typing as t
from anyjob.errors import UnknownNameError
from anyjob.runtime.lowering import as_it_runs
from anyjob.specs import as_spec, is_function


def place(
    session: Callable[[], t.Session], work: Any, args: tuple[Any, ...], backend: Any, resources: Iterable[str]
) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return a backend, the work, and its positional arguments, for the arguments of a `Session.run`.

    Args:
        session: gives the session that names are looked up in; not called where the backend is given.
        work: a spec, or a function.
        args: what stands behind it: the arguments of the function, or the backend.
        backend: the backend or its name, where it was given by keyword.
        resources: the names of the other keywords.

    Raises:
        AnyjobError: as `Session.run` says.
    """
    if len(args) == 1 and backend is None and not is_function(work):
        (backend,), args = args, ()
    if backend is None:
        work, args = as_spec(work, args, resources), ()
        if session().services.chooses:
            work = as_it_runs(work)  # what the plugins see is what runs, though a file changes meanwhile
        backend = session().choose_backend(work)
    else:
        backend = given_backend(session, backend)
    return backend, work, args


def given_backend(session: Callable[[], t.Session], backend: Any) -> t.AnyBackend:
    """Return the backend that a caller means: one of that name, the default for None, or the one that it is.

    Raises:
        UnknownNameError: it is neither a name nor a backend.
        AnyjobError: as `Session.get_backend` says.
    """
    if backend is None or isinstance(backend, str):
        return session().get_backend(backend)
    if isinstance(backend, type) or not hasattr(backend, "run"):
        raise UnknownNameError(f"a backend is named by text, or is what get_backend() gives, not {backend!r}")
    found: t.AnyBackend = backend
    return found

"""What the arguments of a ``run`` mean: which backend, and what its own ``run`` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from anyjob import hints as t
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
    elif isinstance(backend, str):
        backend = session().get_backend(backend)
    return backend, work, args

"""The variables that a job was given, which a call in a thread of its submitter has not in `os.environ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar, Token

_given: ContextVar[Mapping[str, str] | None] = ContextVar("anyjob_variables", default=None)


def job_environment() -> Mapping[str, str]:
    """Return the variables of the job that runs here, ``ANYJOB_JOB_ID`` among them.

    A job in a process of its own has them in ``os.environ``, which is what is returned there, and where no
    job runs. A call that runs in a thread of the process that submitted it (types ``inline`` and ``threads``)
    shares the environment of that: what it was given itself is returned, and nothing else.
    """
    given = _given.get()
    return os.environ if given is None else given


class use_job_environment:  # noqa: N801 - it is called as a function is
    """While it is entered, `job_environment` gives these variables: for a call in a thread of this process.

    Args:
        variables: those of the order, by name.
    """

    __slots__ = ("_token", "_variables")

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._token: Token[Mapping[str, str] | None] | None = None

    def __enter__(self) -> None:
        self._token = _given.set(self._variables)

    def __exit__(self, *exc: object) -> None:
        assert self._token is not None
        _given.reset(self._token)

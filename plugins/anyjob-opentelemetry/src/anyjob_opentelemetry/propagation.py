"""Propagation of the trace context into a job, and its extraction there: by environment variables.

Their names are those of OpenTelemetry's specification of environment variables as carriers of context: in
capitals, with ``_`` in place of what such a name cannot hold: ``TRACEPARENT``, ``TRACESTATE``, ``BAGGAGE``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

from anyjob.sdk import job_environment


def variable(key: str) -> str:
    """Return the name of the environment variable that carries a field of a propagator."""
    name = re.sub(r"[^A-Z0-9_]", "_", key.upper())
    return f"_{name}" if name[:1].isdigit() else name


class _EnvironmentGetter(Getter[Mapping[str, str]]):
    """Reads the fields of a propagator from environment variables."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        """Return what the variable for a field holds."""
        value = carrier.get(variable(key))
        return None if value is None else [value]

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        """Return the names of all variables."""
        return list(carrier)


def inject(context: Context) -> dict[str, str]:
    """Return the variables that carry a context, as the program's propagators write it."""
    fields: dict[str, str] = {}
    propagate.inject(fields, context)
    return {variable(key): value for key, value in fields.items()}


def current_context() -> Context:
    """Return the current context; in a job that has not attached its own, that of the job."""
    current = contexts.get_current()
    if trace.get_current_span(current).get_span_context().is_valid:
        return current
    return propagate.extract(job_environment(), current, getter=_EnvironmentGetter())


class Attached:
    """The context of a job, made the current one until `detach`."""

    def __init__(self) -> None:
        self._token = contexts.attach(propagate.extract(job_environment(), getter=_EnvironmentGetter()))
        self._attached = True

    def detach(self) -> None:
        """Make what was current before the current context again. May be called twice."""
        if self._attached:
            self._attached = False
            contexts.detach(self._token)

    def __enter__(self) -> Attached:
        return self

    def __exit__(self, *exc: object) -> None:
        self.detach()

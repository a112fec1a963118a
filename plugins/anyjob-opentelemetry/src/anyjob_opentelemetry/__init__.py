"""Traces and metrics of anyjob's jobs, by OpenTelemetry.

What is installed takes part by itself, with the tracer and meter providers that the program has set. Work
that makes spans of its own calls `attach` first.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob_opentelemetry.propagation import Attached

__all__ = ["attach"]


def attach() -> Attached:
    """In a job: make the trace that the job belongs to the current one, so that its own spans join.

    Does nothing where the job was given no trace. Use it as a context manager, or end it by its
    ``detach()``; in a process of the job's own it may be left as it is::

        with anyjob_opentelemetry.attach():
            with tracer.start_as_current_span("fit"):
                ...
    """
    from anyjob_opentelemetry.propagation import Attached

    return Attached()

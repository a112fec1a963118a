"""What an agent may do: which backends it sees, whether it may change anything, and how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from anyjob import Resources, SpecError

TAG = {"by": "anyjob-mcp"}
"""What jobs have that were run here: these alone are counted, and may be cancelled."""


class Denied(Exception):
    """Something that this server was not started to allow; the message says by what it would be."""


class Limits(NamedTuple):
    """What is allowed.

    Args:
        backends: the names of those that are seen; empty: all.
        writes: whether jobs may be run and cancelled.
        most_open: of what was run here, so many jobs may wait or run at a time.
        most: what one job may ask for, by name; None: any.
        cancels_any: whether jobs may be cancelled that were not run here.
    """

    backends: tuple[str, ...] = ()
    writes: bool = False
    most_open: int = 0
    most: Mapping[str, float | None] = {}
    cancels_any: bool = False

    def sees(self, backend: str) -> bool:
        """Tell whether jobs of a backend are seen."""
        return not self.backends or backend in self.backends

    def check_backend(self, backend: str) -> None:
        """Let pass a backend that is seen.

        Raises:
            Denied: it is none.
        """
        if not self.sees(backend):
            raise Denied(
                f"backend {backend!r} is not among those that this server was started with: "
                f"{', '.join(self.backends)} (option --backend)"
            )

    def check_writes(self, what: str) -> None:
        """Let pass what changes something, where that is allowed.

        Raises:
            Denied: it is not.
        """
        if not self.writes:
            raise Denied(
                f"this server is read-only: it was not started to {what} jobs. Whoever starts it decides "
                "that: anyjob mcp --write --backend NAME"
            )

    def check_own(self, tags: Mapping[str, str]) -> None:
        """Let pass the cancelling of a job with these tags.

        Raises:
            Denied: it was not run here.
        """
        if not self.cancels_any and not TAG.items() <= dict(tags).items():
            raise Denied(
                "this job was not run here: this server cancels what it has run, and no more (option "
                "--cancel-any)"
            )

    def check_open(self, count: int) -> None:
        """Let pass one job more than so many that are open.

        Raises:
            Denied: these are as many as may be.
        """
        if count >= self.most_open:
            raise Denied(
                f"{count} jobs that were run here wait or run, and {self.most_open} may at a time (option "
                "--max-open): wait until one ends, or cancel one"
            )

    def bounded(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a job is given: what it asks for, or the most of walltime and memory where it does not.

        Raises:
            Denied: it asks for more than it may have.
            SpecError: what it asks for makes no sense.
        """
        wanted = Resources(**asked)
        given: dict[str, Any] = {"name": wanted.name, "cpus": wanted.cpus or 1}
        for name in ("cpus", "gpus", "memory", "walltime"):
            value, most = getattr(wanted, name), self.most.get(name)
            if value and most is not None and not value <= most:
                raise Denied(
                    f"a job may ask for {name} of {_text(name, most)} at most, not {_text(name, value)} "
                    f"(option --max-{name})"
                )
            if name in ("memory", "walltime"):
                value = value or most
            if value:
                given[name] = value
        return given


def read_limits(
    backends: Sequence[str], writes: bool, cancels_any: bool, most_open: int, **most: Any
) -> Limits:
    """Return what the options of the command allow.

    Raises:
        SpecError: they make no sense.
    """
    if writes and not backends:
        raise SpecError(
            "--write is for backends that are named: add --backend NAME for each that jobs may be run on"
        )
    if cancels_any and not writes:
        raise SpecError("--cancel-any is for a server that may change something: add --write")
    try:
        read = Resources(**{name: value for name, value in most.items() if value})
    except SpecError as error:
        raise SpecError(f"the limit of a job (option --max-…): {error}") from error
    bounds = {name: getattr(read, name) if value else value for name, value in most.items()}
    return Limits(tuple(dict.fromkeys(backends)), writes, most_open, bounds, cancels_any)


def _text(name: str, value: float) -> str:
    if name == "walltime":
        return f"{value:g} s"
    return f"{value / 2**20:g} MiB" if name == "memory" else f"{value:g}"

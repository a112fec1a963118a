"""The type ``flux``, and its options."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from anyjob.sdk import BatchBackend, BatchJobOptions, cluster_options
from anyjob_flux.dialect import Flux

MANAGED = (
    "--job-name",
    "--input",
    "--output",
    "--error",
    "--cwd",
    "--cc",
    "--bcc",
    "--env",
    "--wait",
    "--watch",
)
"""Options of ``flux submit`` that are anyjob's business, and refused among ``extra``, as the next."""
LETTERS = ("-i", "-n", "-N", "-c", "-g", "-t", "-x", "-q", "-B", "-l")
OWN = ("queue", "bank", "requires", "urgency", "exclusive")
"""Options of ``flux submit`` that are options of ours, under the same name."""


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


Urgency = Annotated[int, msgspec.Meta(ge=0, le=31)]


class FluxJobOptions(BatchJobOptions, frozen=True):
    """What one job may be told beside its resources: ``options={"flux": {"queue": "debug"}}``."""

    queue: Annotated[str | None, _about("where to run (--queue)")] = None
    bank: Annotated[str | None, _about("what it is accounted to (--bank)")] = None
    requires: Annotated[str | None, _about('what its node must have (--requires): "gpu"')] = None
    urgency: Annotated[Urgency | None, _about("how urgent it is (--urgency), 16 by default")] = None
    exclusive: Annotated[bool, _about("whether a job has its node for itself")] = False

    def check(self) -> None:
        """Refuse what is anyjob's to say."""
        for argument in self.extra:
            name = argument.partition("=")[0]
            if not argument.startswith("--") and argument[:2] not in LETTERS:
                raise ValueError(f'extra: {argument[:60]!r} is no option: write it as "--name=value"')
            # Any beginning of a name that fits one alone is as good as the name.
            for own in OWN:
                if f"--{own}".startswith(name):
                    raise ValueError(f"extra: {argument[:60]!r} has an option of its own: set `{own}`")
            if argument[:2] in LETTERS or any(each.startswith(name) for each in MANAGED):
                raise ValueError(f"extra: {argument[:60]!r} is refused, since it is anyjob's to set")


FluxOptions = cluster_options(
    FluxJobOptions,
    (
        "uri",
        Annotated[str | None, _about("the instance; by default as FLUX_URI says, or the system's")],
        None,
    ),
)
"""Options of the type ``flux``: those that a job may have, and those that are the instance's."""


class FluxBackend(BatchBackend):
    """Type ``flux``: an instance of Flux, by its program.

    Bulks are submitted by one command. What the work is, and what came of it, passes through a directory
    that the nodes see, too (option ``spool``); there they need bash and Python, and not anyjob.
    """

    JobOptions = FluxJobOptions
    Options = FluxOptions
    dialect = Flux()

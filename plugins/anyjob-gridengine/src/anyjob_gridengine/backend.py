"""The type ``gridengine``, and its options."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from anyjob.sdk import BatchBackend, BatchJobOptions, cluster_options
from anyjob_gridengine.dialect import GridEngine

MANAGED = (
    *(
        "-N",
        "-S",
        "-b",
        "-clear",
        "-cwd",
        "-e",
        "-h",
        "-help",
        "-i",
        "-j",
        "-now",
        "-o",
        "-r",
        "-shell",
        "-sync",
    ),
    *("-t", "-terse", "-v", "-V", "-verify", "-wd", "-@", "-hold_jid", "-hold_jid_ad"),
)
"""Arguments of ``qsub`` that are anyjob's business, and refused among ``extra``."""
OWN = {
    "-q": "queue",
    "-P": "project",
    "-A": "account",
    "-pe": "pe",
    "-notify": "notify",
    "-tc": "throttle",
}
"""Arguments that have options of their own."""


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class GridEngineJobOptions(BatchJobOptions, frozen=True):
    """What one job may be told beside its resources: ``options={"gridengine": {"queue": "long.q"}}``."""

    queue: Annotated[str | None, _about("where to run (-q)")] = None
    project: Annotated[str | None, _about("who pays (-P)")] = None
    account: Annotated[str | None, _about("what it is accounted to (-A)")] = None
    pe: Annotated[str, _about("the parallel environment for more than one cpu (-pe)")] = "smp"
    resources: Annotated[tuple[str, ...], _about('more that jobs need (-l): ["scratch=10G"]')] = ()
    memory_resource: Annotated[
        str, _about("the resource by which `memory` is asked for, each cpu's part")
    ] = "h_vmem"
    gpu_resource: Annotated[
        str | None, _about("the resource that `gpus` are asked for by, where there is one")
    ] = None
    notify: Annotated[bool, _about("whether jobs are told, by a TERM, before they are killed (-notify)")] = (
        True
    )

    def check(self) -> None:
        """Refuse what is anyjob's to say."""
        for argument in self.extra:
            if argument in OWN:
                raise ValueError(f"extra: {argument!r} has an option of its own: set `{OWN[argument]}`")
            if argument in MANAGED:
                raise ValueError(f"extra: {argument!r} is refused, since it is anyjob's to set")
        for each in self.resources:
            if not re.fullmatch(r"[A-Za-z_][\w.-]*(=[^,\s]+)?", each):
                raise ValueError(f'resources: {each[:60]!r} is no resource: write it as "name=value"')


class GridEngineBackend(BatchBackend):
    """Type ``gridengine``: a Grid Engine cluster (Son of, Univa's, Altair's), by its programs.

    Bulks become array jobs. What the work is, and what came of it, passes through a directory that the
    execution hosts see, too (option ``spool``); there they need bash and Python, and not anyjob.
    """

    JobOptions = GridEngineJobOptions
    Options = cluster_options(
        GridEngineJobOptions,
        ("notify", Annotated[bool, _about("whether jobs are told, by a TERM, before they are killed")], True),
    )

    def make_dialect(self) -> GridEngine:
        """Return the dialect, for a cluster that tells jobs of their end, or does not."""
        return GridEngine(notify=self.options.notify)

"""The type ``pbs``, and its options."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from anyjob.sdk import BatchBackend, BatchJobOptions, cluster_options
from anyjob_pbs.dialect import PBS

MANAGED = frozenset(f"-{letter}" for letter in "CefhIjJkNorRSvVXz-")
"""Arguments of ``qsub`` that are anyjob's business, and refused among ``extra``."""
OWN = {"-q": "queue", "-P": "project", "-A": "account"}
"""Arguments that have options of their own."""


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class PBSJobOptions(BatchJobOptions, frozen=True):
    """What one job may be told beside its resources: ``options={"pbs": {"queue": "long"}}``."""

    queue: Annotated[str | None, _about("where to run (-q)")] = None
    project: Annotated[str | None, _about("what it is for (-P)")] = None
    account: Annotated[str | None, _about("what it is accounted to (-A)")] = None
    place: Annotated[str | None, _about('how its nodes are chosen (-l place): "scatter:excl"')] = None
    chunk: Annotated[
        tuple[str, ...], _about('more that it needs of each node, in -l select: ["mpiprocs=4"]')
    ] = ()
    resources: Annotated[tuple[str, ...], _about('more that it needs as a whole (-l): ["matlab=1"]')] = ()
    gpu_resource: Annotated[str, _about("the resource that `gpus` are asked for by")] = "ngpus"

    def check(self) -> None:
        """Refuse what is anyjob's to say."""
        for argument in self.extra:
            flag = argument[:2]
            if flag in OWN:
                raise ValueError(f"extra: {argument[:60]!r} has an option of its own: set `{OWN[flag]}`")
            if flag in MANAGED or "block=" in argument:
                raise ValueError(f"extra: {argument[:60]!r} is refused, since it is anyjob's to set")
        for name in ("chunk", "resources"):
            for each in getattr(self, name):
                if not re.fullmatch(r"[A-Za-z_][\w.-]*=[^,:\s]+", each):
                    raise ValueError(f'{name}: {each[:60]!r} is no resource: write it as "name=value"')


class PBSBackend(BatchBackend):
    """Type ``pbs``: an OpenPBS or PBS Professional cluster, by its programs.

    Bulks become array jobs. What the work is, and what came of it, passes through a directory that the
    nodes see, too (option ``spool``); there they need bash and Python, and not anyjob.
    """

    JobOptions = PBSJobOptions
    Options = cluster_options(PBSJobOptions)
    dialect = PBS()

"""The options of the type ``slurm``, and those that ride along with one job."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from anyjob import Options, Resources
from anyjob.sdk import BatchJobOptions, cluster_options

MANAGED = (
    "array",
    "chdir",
    "clusters",
    "comment",
    "error",
    "export",
    "export-file",
    "get-user-env",
    "input",
    "job-name",
    "no-requeue",
    "open-mode",
    "output",
    "parsable",
    "quiet",
    "requeue",
    "test-only",
    "wait",
    "wrap",
)
"""Directives that are anyjob's business, and refused among ``extra``."""
OWN = {
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "reservation": "reservation",
    "gres": "gres",
    "ntasks": "tasks",
    "exclusive": "exclusive",
    "mail-type": "mail_type",
    "mail-user": "mail_user",
    "nodes": "nodes",
}
"""Directives that have options of their own."""
RESOURCES = {"cpus-per-task": "cpus", "mem": "memory", "gpus": "gpus", "time": "walltime"}
"""Directives that `anyjob.Resources` stand for."""
_DIRECTIVE = re.compile(r"--([A-Za-z][A-Za-z0-9-]*)(?:=(.*))?", re.DOTALL)

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class Component(Options, frozen=True):
    """What stands behind a ``:`` of ``sbatch``: more nodes of another kind, for the same job."""

    partition: Annotated[str | None, _about("where it runs (--partition)")] = None
    nodes: Annotated[AtLeastOne | None, _about("its nodes")] = None
    tasks: Annotated[AtLeastOne | None, _about("its tasks (--ntasks)")] = None
    cpus: Annotated[AtLeastOne | None, _about("cores of each task")] = None
    memory: Annotated[int | str | None, _about('memory of each node: "8GiB"')] = None
    gpus: Annotated[AtLeastOne | None, _about("its accelerators")] = None
    constraint: Annotated[str | None, _about("features that its nodes must have (--constraint)")] = None
    gres: Annotated[str | None, _about("its generic resources (--gres)")] = None
    exclusive: Annotated[bool, _about("whether it has its nodes for itself")] = False
    extra: Annotated[tuple[str, ...], _about("more directives")] = ()

    def __post_init__(self) -> None:
        if self.memory is not None:
            memory = Resources(memory=self.memory).memory  # type: ignore[arg-type]  # which takes text, too
            msgspec.structs.force_setattr(self, "memory", memory)
        _check_directives(self)


class SlurmJobOptions(BatchJobOptions, frozen=True):
    """What one job may be told beside its resources: ``run(…, options={"slurm": {"partition": "gpu"}})``."""

    partition: Annotated[str | None, _about("where to run (--partition)")] = None
    account: Annotated[str | None, _about("who pays (--account)")] = None
    qos: Annotated[str | None, _about("quality of service (--qos)")] = None
    constraint: Annotated[str | None, _about("features that nodes must have (--constraint)")] = None
    reservation: Annotated[str | None, _about("a reservation to run in (--reservation)")] = None
    gres: Annotated[str | None, _about("generic resources (--gres)")] = None
    nodes: Annotated[AtLeastOne | None, _about("nodes of a job that does not say")] = None
    tasks: Annotated[AtLeastOne | None, _about("tasks of a job (--ntasks)")] = None
    exclusive: Annotated[bool, _about("whether a job has its nodes for itself")] = False
    mail_type: Annotated[tuple[str, ...], _about('when to send mail: ["END", "FAIL"]')] = ()
    mail_user: Annotated[str | None, _about("whom to send mail to")] = None
    components: Annotated[
        tuple[Component, ...],
        _about('nodes of other kinds, in a heterogeneous job: [{"partition": "gpu", "gpus": 2}]'),
    ] = ()

    def check(self) -> None:
        """Refuse what could smuggle in a directive, and directives that are anyjob's to set."""
        _check_directives(self)


SlurmOptions = cluster_options(
    SlurmJobOptions,
    (
        "conf",
        Annotated[Path | None, _about("the cluster's slurm.conf; by default as SLURM_CONF says")],
        None,
    ),
)
"""Options of the type ``slurm``: those that a job may have, and those that are the cluster's."""


def _check_directives(options: Any) -> None:
    for name in options.__struct_fields__:
        value = getattr(options, name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and "#SBATCH" in text:
                raise ValueError(
                    f"{name}: {text[:60]!r} holds '#SBATCH': directives go into `extra`, as \"--name=value\""
                )
    for directive in options.extra:
        _check_directive(directive)


def _check_directive(directive: str) -> None:
    match = _DIRECTIVE.fullmatch(directive)
    if match is None:
        raise ValueError(f'extra: {directive[:60]!r} is no directive: write it as "--name=value" or "--name"')
    name = match[1].lower()
    # sbatch takes any beginning of a name that fits one alone, so a beginning is as good as the name.
    for own, option in {**OWN, **RESOURCES}.items():
        if own == name:
            what = "is a resource of the job" if own in RESOURCES else "has an option of its own"
            raise ValueError(f"extra: {directive[:60]!r} {what}: set `{option}`")
    for managed in (*MANAGED, *OWN, *RESOURCES):
        if managed.startswith(name):
            raise ValueError(f"extra: {directive[:60]!r} is refused, since --{managed} is anyjob's to set")

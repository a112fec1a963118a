"""The options of the type ``slurm``, and those that ride along with one job."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from anyjob import Options

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
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DIRECTIVE = re.compile(r"--([A-Za-z][A-Za-z0-9-]*)(?:=(.*))?", re.DOTALL)

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class SlurmJobOptions(Options, frozen=True):
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
    extra: Annotated[tuple[str, ...], _about('more directives: ["--switches=1", "--hold"]')] = ()
    python: Annotated[
        str | None, _about("the Python that runs calls on the compute nodes; by default that of the caller")
    ] = None
    setup: Annotated[
        tuple[str, ...], _about('lines for bash to run before the work: ["module load gcc"]')
    ] = ()
    export: Annotated[
        tuple[str, ...] | None,
        _about('the caller\'s variables that a job gets, * as in file names; by default all: ["OMP_*"]'),
    ] = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, (str, Path)):
                    _check_text(name, str(text))
            if isinstance(value, Path) and not value.is_absolute():
                raise ValueError(
                    f"{name}: {str(value)!r} would mean something else in every directory: give a path that "
                    "begins with / or ~"
                )
        for directive in self.extra:
            _check_directive(directive)


class SlurmOptions(SlurmJobOptions, frozen=True):
    """Options of the type ``slurm``: those that a job may have, and those that are the cluster's."""

    spool: Annotated[
        Path | None,
        _about("a directory that the compute nodes see, too; by default below the state directory"),
    ] = None
    programs: Annotated[Path | None, _about("where Slurm's programs are, if not on PATH")] = None
    conf: Annotated[Path | None, _about("the cluster's slurm.conf; by default as SLURM_CONF says")] = None
    timeout: Annotated[
        float, msgspec.Meta(gt=0, description="seconds that a program of Slurm's may take")
    ] = 60.0
    patience: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description="seconds that what a job has left may take to be seen here (network file systems)",
        ),
    ] = 30.0


def _check_text(name: str, text: str) -> None:
    if _CONTROL.search(text):
        raise ValueError(
            f"{name}: {text[:60]!r} holds a line break or another control character, which could smuggle in "
            "a directive: it is refused" + (" (give each line by itself)" if name == "setup" else "")
        )
    if "#SBATCH" in text:
        raise ValueError(
            f"{name}: {text[:60]!r} holds '#SBATCH': directives go into `extra`, as \"--name=value\""
        )


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

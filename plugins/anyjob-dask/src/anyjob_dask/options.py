"""The options of the type ``dask``, and those that ride along with one job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from anyjob import Options

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class DaskJobOptions(Options, frozen=True):
    """What one job may be told beside its resources: ``run(…, options={"dask": {"workers": ["tcp://…"]}})``."""

    resources: Annotated[
        dict[str, float], _about('Dask\'s worker resources that a job takes up: {"LICENCE" = 1}')
    ] = {}
    workers: Annotated[tuple[str, ...], _about("the workers, by address or alias, that may run it")] = ()
    priority: Annotated[int, _about("jobs of a higher one are run first")] = 0


class DaskOptions(DaskJobOptions, frozen=True):
    """Options of the type ``dask``: those that a job may have, and those of the cluster.

    Raises:
        ValueError: options that exclude each other.
    """

    address: Annotated[
        str | None, _about("of the scheduler: tcp://host:8786; without one a cluster is started here")
    ] = None
    scheduler_file: Annotated[Path | None, _about("the file that a scheduler has written its address to")] = (
        None
    )
    durable: Annotated[
        bool | None,
        _about("whether jobs outlive this process; by default those of a cluster that is not ours do"),
    ] = None
    isolation: Annotated[
        Literal["process", "thread"],
        _about("where calls run: in a process beside the worker, or in a thread of it"),
    ] = "process"
    slots: Annotated[AtLeastOne | None, _about("workers of a cluster that is started here")] = None
    memory: Annotated[
        str | None, _about('what each of these may use: "4GiB"; by default its part of the machine')
    ] = None
    shared_files: Annotated[
        bool | None,
        _about("whether workers see this machine's files under the same paths; those started here do"),
    ] = None
    timeout: Annotated[
        float, msgspec.Meta(gt=0, le=1e9, description="seconds that the scheduler may take to answer")
    ] = 10.0
    check_versions: Annotated[
        bool, _about("whether to refuse a cluster of another Python or Dask than this one")
    ] = True
    direct: Annotated[
        bool | None,
        _about("whether large values go to and from workers directly, and not through the scheduler"),
    ] = None
    tls_ca_file: Annotated[Path | None, _about("TLS: the certificate of the authority")] = None
    tls_cert: Annotated[Path | None, _about("TLS: the certificate to show")] = None
    tls_key: Annotated[Path | None, _about("TLS: the key of that")] = None
    spool: Annotated[
        Path | None,
        _about("where logs and large results of durable jobs are kept; by default below the state directory"),
    ] = None

    def __post_init__(self) -> None:
        if self.address and self.scheduler_file:
            raise ValueError("address and scheduler_file both name a scheduler: give one of them")
        if self.owns_cluster and self.durable:
            raise ValueError(
                "durable = true needs the address of a scheduler: a cluster that is started here ends with "
                "its backend"
            )
        if not self.owns_cluster and (self.slots or self.memory):
            raise ValueError("slots and memory are of a cluster that is started here: leave them out")
        if any((self.tls_ca_file, self.tls_cert, self.tls_key)) and self.owns_cluster:
            raise ValueError("TLS is for a scheduler that is named by address or scheduler_file")

    @property
    def owns_cluster(self) -> bool:
        """Whether the cluster is one that is started by, and for, the backend."""
        return self.address is None and self.scheduler_file is None

    @property
    def is_durable(self) -> bool:
        """Whether jobs outlive the process that submits them."""
        return not self.owns_cluster if self.durable is None else self.durable

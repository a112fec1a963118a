"""The options that every batch scheduler has: of a job, and of the cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from anyjob.orders import Options

LONGEST = 1e9
"""Seconds that one may wait: there are clocks that count no further than a few billions."""
MOST_PACKED = 100_000
"""Jobs that one allocation may run, one after the other: an id of each is read at its start."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class BatchJobOptions(Options, frozen=True):
    """What one job may be told beside its resources, on every batch scheduler; a base for more.

    Args:
        extra: more arguments for the program that submits.
        python: the Python that runs calls on the compute nodes; by default that of the caller.
        setup: lines for bash to run before the work.
        pack: how many jobs of a bulk one allocation runs, one after the other.
        throttle: how many tasks of an array run at a time; None: as many as may.
        export: the caller's variables that a job gets, ``*`` as in file names; by default all.
    """

    extra: Annotated[tuple[str, ...], _about("more arguments for the program that submits")] = ()
    python: Annotated[
        str | None, _about("the Python that runs calls on the compute nodes; by default that of the caller")
    ] = None
    setup: Annotated[
        tuple[str, ...], _about('lines for bash to run before the work: ["module load gcc"]')
    ] = ()
    pack: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=MOST_PACKED)],
        _about("how many short jobs of a bulk one allocation runs, one after the other"),
    ] = 1
    throttle: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None, _about("how many tasks of an array run at a time")
    ] = None
    export: Annotated[
        tuple[str, ...] | None,
        _about('the caller\'s variables that a job gets, * as in file names; by default all: ["OMP_*"]'),
    ] = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, (str, Path)) and _CONTROL.search(str(text)):
                    raise ValueError(
                        f"{name}: {str(text)[:60]!r} holds a line break or another control character: refused"
                        + (" (give each line by itself)" if name == "setup" else "")
                    )
            if isinstance(value, Path) and not value.is_absolute():
                raise ValueError(
                    f"{name}: {str(value)!r} would mean something else in every directory: give a path that "
                    "begins with / or ~"
                )
        self.check()

    def check(self) -> None:
        """Refuse, by a ValueError, what the fields of a subclass may not hold."""


CLUSTER: tuple[tuple[str, Any, Any], ...] = (
    (
        "spool",
        Annotated[
            Path | None,
            _about("a directory that the compute nodes see, too; by default below the state directory"),
        ],
        None,
    ),
    ("programs", Annotated[Path | None, _about("where the scheduler's programs are, if not on PATH")], None),
    (
        "timeout",
        Annotated[
            float,
            msgspec.Meta(gt=0, le=LONGEST, description="seconds that a program of the scheduler's may take"),
        ],
        60.0,
    ),
    (
        "patience",
        Annotated[
            float,
            msgspec.Meta(
                ge=0,
                le=LONGEST,
                description="seconds that what a job has left may take to be seen here (network files)",
            ),
        ],
        30.0,
    ),
    (
        "submissions_per_minute",
        Annotated[
            Annotated[int, msgspec.Meta(ge=1)] | None,
            _about("how often a program submits, in any minute; others wait for their turn"),
        ],
        None,
    ),
)
"""Options of the cluster, which no job has of its own."""


def cluster_options(job_options: type[Any], *more: tuple[Any, ...], name: str = "") -> type[Any]:
    """Return the ``Options`` of a backend: those that a job may have, and those of the cluster.

    Args:
        job_options: the ``JobOptions`` of the backend, a subclass of `BatchJobOptions`.
        more: options of this cluster, as for ``msgspec.defstruct``: name, type, default.
        name: what the class is to be called; by default as ``job_options``, without ``Job``.
    """
    return msgspec.defstruct(
        name or job_options.__name__.replace("JobOptions", "Options"),
        [*more, *CLUSTER],
        bases=(job_options,),
        frozen=True,
        kw_only=True,
        module=job_options.__module__,
    )

"""The type ``threads``: calls in threads of the program that submits them."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from anyjob.backend import Capabilities
from anyjob.builtin.pool import PoolBackend
from anyjob.orders import Options


class ThreadsOptions(Options, frozen=True):
    """Options of the type ``threads``.

    Args:
        slots: how many jobs run at a time; by default the number of cores and 4, 32 at most.
    """

    slots: Annotated[int, msgspec.Meta(ge=1, description="how many jobs run at a time")] = min(
        32, (os.cpu_count() or 1) + 4
    )


class ThreadsBackend(PoolBackend):
    """Type ``threads``: calls in threads of this process, which share its memory; a running call
    cannot be cancelled, nor ended at its walltime. Commands are children of this process.

    What calls print goes to this process's own stdout.
    """

    Options = ThreadsOptions
    capabilities = Capabilities(
        shared_files=True,
        logs=True,
        notifies=True,
        cancel_running=False,
        walltime=False,
        output_files=True,
    )

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return int(getattr(self.options, "slots", ThreadsOptions().slots))

"""The type ``slurm``."""

from __future__ import annotations

from anyjob.sdk import BatchBackend
from anyjob_slurm.dialect import Slurm
from anyjob_slurm.options import SlurmJobOptions, SlurmOptions


class SlurmBackend(BatchBackend):
    """Type ``slurm``: a Slurm cluster, by its programs.

    Bulks become job arrays. What the work is, and what came of it, passes through a directory that the
    compute nodes see, too (option ``spool``); there they need Python, and not anyjob.
    """

    JobOptions = SlurmJobOptions
    Options = SlurmOptions
    dialect = Slurm()

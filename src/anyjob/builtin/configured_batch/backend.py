"""The backend that runs jobs on a batch scheduler which a configuration describes."""

from __future__ import annotations

from anyjob.batch.backend import BatchBackend
from anyjob.batch.dialect import Dialect
from anyjob.batch.options import cluster_options
from anyjob.builtin.configured_batch.dialect import ConfiguredDialect
from anyjob.builtin.configured_batch.options import FIELDS, BatchTypeJobOptions, Checked


class ConfiguredBackend(BatchBackend):
    """Type ``batch``: any batch scheduler, by what the configuration says of its programs."""

    JobOptions = BatchTypeJobOptions
    Options = cluster_options(Checked, *FIELDS, name="BatchTypeOptions")

    def make_dialect(self) -> Dialect:
        """Return the dialect that the options describe."""
        return ConfiguredDialect(self.options)

"""Where PSI/J finds the executor "anyjob"."""

from packaging.version import Version
from psij.descriptor import Descriptor

__PSI_J_EXECUTORS__ = [
    Descriptor(
        name="anyjob",
        nice_name="anyjob",
        version=Version("0.1.0"),
        cls="anyjob_psij.executor.AnyjobExecutor",
    )
]

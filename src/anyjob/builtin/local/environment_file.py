"""The files, of mode 0600, in which variables wait for jobs: one a bulk, and one a job that has its own."""

from __future__ import annotations

from anyjob.builtin.local import plain_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

JOB_FILE = "environment"
"""The file in a job's directory with the variables that plugins have for it alone."""
OWN_SUFFIX = ".own"
"""What the name of a bulk's file ends with where its jobs have such variables."""


def encode(variables: Mapping[bytes, bytes]) -> bytes:
    """Return the content of a file."""
    return plain_data.dumps(dict(variables))


def decode(content: bytes) -> dict[bytes, bytes]:
    """Return the variables that a file holds.

    Raises:
        ValueError: it is damaged.
    """
    variables = plain_data.loads(content)
    if isinstance(variables, dict) and all(
        isinstance(name, bytes) and isinstance(value, bytes) for name, value in variables.items()
    ):
        return variables
    raise ValueError("it holds no variables")

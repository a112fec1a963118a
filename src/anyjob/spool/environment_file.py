"""The files, of mode 0600, in which variables wait for jobs: one a bulk, and one a job that has its own.

That of a bulk also holds what else its jobs get of the process that submits: see `process_attributes`.
"""

from __future__ import annotations

from anyjob.spool import plain_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

JOB_FILE = "environment"
"""The file in a job's directory with the variables that plugins have for it alone."""
OWN_SUFFIX = ".own"
"""What the name of a bulk's file ends with where its jobs have such variables."""


def encode(variables: Mapping[bytes, bytes], attributes: Mapping[str, Any] | None = None) -> bytes:
    """Return the content of a file."""
    return plain_data.dumps((dict(variables), None if attributes is None else dict(attributes)))


def decode(content: bytes) -> tuple[dict[bytes, bytes], dict[str, Any] | None]:
    """Return the variables that a file holds, and the attributes, if it holds any.

    Raises:
        ValueError: it is damaged.
    """
    found = plain_data.loads(content)
    match found:
        case (dict() as variables, (dict() | None) as attributes) if all(
            isinstance(name, bytes) and isinstance(value, bytes) for name, value in variables.items()
        ):
            return variables, attributes
    raise ValueError("it holds no variables")

"""The files, of mode 0600, in which variables wait for jobs: one a bulk, and one a job that has its own."""

from __future__ import annotations

import msgspec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

JOB_FILE = "environment"
"""The file in a job's directory with the variables that plugins have for it alone."""
OWN_SUFFIX = ".own"
"""What the name of a bulk's file ends with where its jobs have such variables."""


def encode(variables: Mapping[bytes, bytes]) -> bytes:
    """Return the content of a file."""
    return msgspec.msgpack.encode(dict(variables))


def decode(content: bytes) -> dict[bytes, bytes]:
    """Return the variables that a file holds.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return msgspec.msgpack.decode(content, type=dict[bytes, bytes], strict=False)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None

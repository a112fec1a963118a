"""Plain data as bytes: numbers, text, bytes, lists and maps, in pickle's format, but without any classes.

The daemons of `local` talk in it, and reports of calls are written so. It is read by the standard library
alone, and what is read can neither make nor call anything.
"""

from __future__ import annotations

import io
import pickle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class PlainUnpickler(pickle.Unpickler):
    """Reads values of builtin types only, and imports nothing for them."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse what is more than data."""
        raise pickle.UnpicklingError(f"{module}.{name} is no plain data")


def dumps(data: Any) -> bytes:
    """Return data as bytes, of the same format for all versions of Python that there are."""
    return pickle.dumps(data, 4)


def loads(content: bytes) -> Any:
    """Return the data that bytes hold.

    Raises:
        ValueError: they hold none.
    """
    try:
        return PlainUnpickler(io.BytesIO(content)).load()
    except Exception as error:  # what pickle raises over nonsense is not to be foreseen
        raise ValueError(f"no plain data: {error}") from None

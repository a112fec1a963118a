"""What is alive of a weak collection, listed while other threads add to it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar
    from weakref import WeakValueDictionary

    K = TypeVar("K")
    V = TypeVar("V")


def living(collection: WeakValueDictionary[K, V]) -> dict[K, V]:
    """Return what is alive, in the order in which it was added.

    The iterators of weak collections run Python code, so that another thread that adds something makes them
    raise, and what is collected meanwhile is missed by its key. The list of references is made at once.
    """
    return {ref.key: value for ref in collection.valuerefs() if (value := ref()) is not None}

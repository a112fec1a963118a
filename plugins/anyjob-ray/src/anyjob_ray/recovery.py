"""Finds out what a series had come to whose task has failed: by its journal, on whatever node that is.

Sent along to the cluster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from anyjob_ray.journal import Known, parse, take_out_here
from anyjob_ray.nodes import alive, on_node
from anyjob_ray.replies import answer

PATIENCE = 20.0
"""Seconds that the nodes have to say whether a journal is theirs."""


class Salvaged(NamedTuple):
    """What is known of a series whose task has failed.

    Args:
        error: what Ray raises of the task.
        known: what its journal tells.
        found: whether it was found.
        sure: whether it would have been found if it were anywhere.
    """

    error: BaseException
    known: Known
    found: bool
    sure: bool


def salvage(series_id: str, error: BaseException, tell: Callable[[str, Any], None]) -> None:
    """Ask all nodes, in a thread; ``tell`` is called with the id and a `Salvaged`."""

    def look() -> None:
        try:
            data, sure = _ask(series_id)
        except Exception:  # the cluster is gone
            data, sure = None, False
        tell(series_id, Salvaged(error, parse(data or b""), data is not None, sure))

    threading.Thread(target=look, name="anyjob-ray-salvage", daemon=True).start()


def _ask(series_id: str) -> tuple[bytes | None, bool]:
    import ray

    nodes = alive(ray.nodes())  # type: ignore[no-untyped-call]
    asked = [on_node(node["NodeID"], take_out_here).remote(series_id) for node in nodes]
    sure = True
    for ref in asked:
        try:
            data = answer(ray, ref, lambda: True, PATIENCE)
        except Exception:  # that node is gone, too, or does not answer
            sure = False
            continue
        if data is not None:
            return bytes(data), True
    return None, sure

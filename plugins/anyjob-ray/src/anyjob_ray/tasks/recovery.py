"""Recovers how far a batch has come whose task has failed: from its journal, on whatever node that is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from anyjob_ray.tasks.nodes import alive_nodes, remote_on_node
from anyjob_ray.tasks.object_refs import wait_for
from anyjob_ray.worker.journal import BatchProgress, parse_journal, pop_journal_of

TIMEOUT = 20.0
"""Seconds that a node has to say whether a journal is there."""


class RecoveredBatch(NamedTuple):
    """What is known of a batch whose task has failed.

    Args:
        error: what Ray raises of the task.
        progress: how far it has come, as its journal tells.
        found: whether the journal was found.
        searched_all: whether it would have been found if it were anywhere.
    """

    error: BaseException
    progress: BatchProgress
    found: bool
    searched_all: bool


def recover_batch(batch_id: str, error: BaseException, on_result: Callable[[str, Any], None]) -> None:
    """Ask all nodes, in a thread; ``on_result`` is called with the id and a `RecoveredBatch`."""

    def search() -> None:
        try:
            data, searched_all = _search(batch_id)
        except Exception:  # the cluster is gone
            data, searched_all = None, False
        progress = parse_journal(data or b"")
        on_result(batch_id, RecoveredBatch(error, progress, data is not None, searched_all))

    threading.Thread(target=search, name="anyjob-ray-recovery", daemon=True).start()


def _search(batch_id: str) -> tuple[bytes | None, bool]:
    import ray

    nodes = alive_nodes(ray.nodes())  # type: ignore[no-untyped-call]
    refs = [remote_on_node(node["NodeID"], pop_journal_of).remote(batch_id) for node in nodes]
    searched_all = True
    for ref in refs:
        try:
            data = wait_for(ray, ref, lambda: True, TIMEOUT)
        except Exception:  # that node is gone, too, or does not answer
            searched_all = False
            continue
        if data is not None:
            return bytes(data), True
    return None, searched_all

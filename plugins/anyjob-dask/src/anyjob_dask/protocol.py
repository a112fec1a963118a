"""Names and words by which client, scheduler and workers speak to each other beside Dask's own messages."""

from __future__ import annotations

from collections.abc import Sequence

HANDLER_PREFIX = "anyjob_"
"""With which the names of our plugin's handlers in the scheduler begin."""
STARTED = "anyjob_started"
"""The stream handler by which a worker reports that jobs have started."""
TOPIC = "anyjob"
"""The topic of the events by which a client learns what becomes of its jobs."""
RESULT_METADATA = "anyjob"
"""The name of a small result in the metadata of its task, with which it goes to the scheduler."""


def waits_for(job_ids: Sequence[str]) -> str:
    """Return that a job waits for these, in words."""
    more = f" and {len(job_ids) - 1} more" if len(job_ids) > 1 else ""
    return f"waits for {job_ids[0][:7]}{more}"

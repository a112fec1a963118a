"""The names by which client, scheduler and workers speak to each other beside Dask's own messages."""

from __future__ import annotations

HANDLER_PREFIX = "anyjob_"
"""With which the names of our plugin's handlers in the scheduler begin."""
STARTED = "anyjob_started"
"""The stream handler by which a worker reports that jobs have started."""
TOPIC = "anyjob"
"""The topic of the events by which a client learns what becomes of its jobs."""
RESULT_METADATA = "anyjob"
"""The name of a small result in the metadata of its task, with which it goes to the scheduler."""

"""Jobs as Ray tasks, in the process that owns these: submitted, cancelled, and followed to their end.

The owner is this process (mode ``fast``), or a detached actor of `anyjob_ray.actors` (mode ``durable``), to
which all of this is pickled by value. It imports `anyjob_ray.worker`, whose functions the tasks call.
"""

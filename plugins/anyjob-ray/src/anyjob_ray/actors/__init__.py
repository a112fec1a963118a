"""The actors: what workers report to, and the owner of the tasks of the mode ``durable``.

They are pickled by value. They import `anyjob_ray.tasks` and `anyjob_ray.worker`.
"""

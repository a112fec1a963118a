"""What surrounds a task backend while it is used: kinds of work, hooks, and the recorder of its jobs.

Imports `anyjob.ledger`, `anyjob.tracking`, `anyjob.execution`, and what is at the root below `taskbackend`.
"""

"""What runs a task backend's jobs: their submission, the services it uses, and the recorder of its jobs.

Imports `anyjob.ledger`, `anyjob.tracking`, `anyjob.execution`, and what is at the root below `taskbackend`.
"""

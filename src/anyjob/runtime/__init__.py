"""What runs a task backend's jobs: their submission, and the services it uses.

`dependencies` holds jobs that wait for others, `recording` what is kept of jobs. Imports `anyjob.ledger`,
`anyjob.tracking`, `anyjob.execution`, and what is at the root below `taskbackend`.
"""

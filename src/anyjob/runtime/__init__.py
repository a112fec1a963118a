"""What runs a task backend's jobs: the interface to its engine, and the services it uses.

`submission` hands work over, `dependencies` holds jobs that wait for others, `recording` what is kept of
jobs. Imports `anyjob.ledger`, `anyjob.tracking`, `anyjob.execution`, and what is at the root below
`taskbackend`.
"""

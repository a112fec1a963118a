"""A session: where configuration, registry, ledger and backends meet.

Imports every room but those that use sessions: `jobfile`, `cli`, `scaffold`, `testing`; and no backend.
"""

"""Tracking: who asks a backend, how often, and who is told; `waits` is what users wait by.

Imports the data of the root, `anyjob.execution` and `anyjob.spool`, and no ledger.
"""

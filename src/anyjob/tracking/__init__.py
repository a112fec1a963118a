"""Waiting: who asks a backend, how often, and who is told.

Imports the data of the root and `anyjob.execution`, and no ledger.
"""

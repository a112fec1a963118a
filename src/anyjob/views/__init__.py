"""What people look at: why a job waits or failed. It reads the ledger by `queries` alone, and writes nothing.
Imports `anyjob.ledger` and what is below that.
"""

"""The supervisor of the backend `local`: decides what runs next, keeps the ledger, tells those who wait.

Of `keeper` its `keepers` import the log.
"""

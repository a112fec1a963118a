"""What clients ask of a supervisor about jobs: to cancel, hold or pause them, or to lend their places.

Of `supervisor` it imports `keepers`, `scheduling`, the clients, and what writes to the ledger.
"""

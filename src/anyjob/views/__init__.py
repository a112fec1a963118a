"""What people look at: lists, reports, graphs, why a job waits or failed. What is read of the ledger for many
jobs is in `queries`; nothing is written. Imports `anyjob.session`, and what `local` knows of its queue.
"""

"""All that is known of one job, collected of the ledger, its files and its backend: plain data, and the facts
that `anyjob.views.explanation` explains. Imports `anyjob.session`, and what `local` knows of its queue.
"""

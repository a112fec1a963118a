"""The graph of jobs that start after each other: what it is made of, and how it is drawn as text.

Pure: what is read of the ledger comes from `anyjob.ledger.reading.graph_reader`.
"""

"""What people watch while jobs go on: whether the ledger has changed, and what there is to show then, as
plain data. Imports `anyjob.session` and what is below that; writes nothing.
"""

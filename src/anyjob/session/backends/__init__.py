"""The backends of a session: made of its configuration, found by what the ledger says, or stood in for."""

"""Who keeps what of the jobs of a task backend: the ledger, or the process alone."""

"""Promises about the engine behind a task backend: bulk, outages, crashes, options, secrets."""

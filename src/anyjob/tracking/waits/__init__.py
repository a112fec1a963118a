"""Waits for jobs, in a thread or in an event loop."""

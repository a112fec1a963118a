"""Waits for jobs, in a thread or in an event loop, and the threads that callbacks run on."""

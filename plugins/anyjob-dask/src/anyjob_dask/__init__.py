"""Runs anyjob's work on a Dask cluster: the backend type ``dask``.

What is said to a scheduler, and asked of it, goes through `line`; what a scheduler knows and keeps of our
jobs, through `desk`, a plugin in the scheduler; what a worker does for a job is in `bench`.
"""

"""What runs in Dask's workers: a job, and what is told of it."""

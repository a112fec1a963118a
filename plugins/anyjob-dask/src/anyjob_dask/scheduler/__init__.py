"""What runs in Dask's scheduler."""

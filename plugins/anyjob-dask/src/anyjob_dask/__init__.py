"""Runs anyjob's work on a Dask cluster: the backend type ``dask``.

`client` has the connection to the scheduler, the submission of tasks, and what is known of them there. In
the scheduler runs `scheduler.scheduler_plugin`; in workers run the functions of `worker.worker_tasks`, which
leave the work to `worker.job_runner`.
"""

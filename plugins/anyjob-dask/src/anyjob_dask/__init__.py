"""Runs anyjob's work on a Dask cluster: the backend type ``dask``.

The client's side is `backend`, with the `connection` to the scheduler, the `submission` of tasks, what is
known of them (`job_states`), and when they leave the cluster (`releases`). In the scheduler runs
`scheduler_plugin`; in workers run the functions of `worker_tasks`, which leave the work to `job_runner`.
"""

"""One base for every batch scheduler: an author brings a dialect, which is pure functions.

`dialect` is what an author writes; `backend` is the task backend that speaks it. The base owns time, budgets,
files and faults: `files`, `script` and `compute_node` are what passes to the nodes, `follower`,
`followed_jobs` and `queue` what is seen of jobs, `job_outcomes` what becomes of them. It imports
`anyjob.taskbackend`, and what is below that.
"""

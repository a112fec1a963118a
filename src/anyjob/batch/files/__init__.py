"""The files that pass between here and the compute nodes: of one submission, and of each job in it.

A submission is what is handed over at once: one job, or an array. Below the spool it has a directory
``submissions/ID`` (the id of its first job) beside those of its jobs::

    environment   the caller's variables
    jobs          the number of the first task, how many jobs each runs, and the ids of the jobs, in order
    journal       a line for each start and end, appended by the nodes: hints
    log-N         what was said before the work of task N started, and by the scheduler
    script        what was submitted, where the scheduler takes a file

What runs there is in ``programs`` beside them. It imports `anyjob.spool`, and `dialect` and `launcher`.
"""

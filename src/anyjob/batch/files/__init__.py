"""The files that pass between here and the compute nodes: of one submission, and of each job in it.

A submission is what is handed over at once: one job, or an array. Below the spool it has a directory
``submissions/ID`` (the id of its first job) beside those of its jobs, which are made when they start::

    environment   the caller's variables
    work          what the jobs are to run, one after the other
    jobs          the number of the first task, how many jobs each runs, and a line for each job: its id, and
                  where its work is in that file
    claims-K/N    who has claimed job N: a thousand jobs a directory
    journal       a line for each start and end, appended by the nodes: hints
    log-N         what was said before the work of task N started, and by the scheduler
    script        what was submitted, where the scheduler takes a file

What runs there is in ``programs`` beside them. It imports `anyjob.spool`, and `dialect` and `launcher`.
"""

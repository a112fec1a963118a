"""The keeper's log: its lines, the file that these are in, and what is written of jobs.

Of the keeper it imports `job`.
"""

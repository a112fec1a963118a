"""The releaser: it hands jobs that have waited for others to their engines, though their submitter is gone.

It is a process of its own, started by the supervisor in the surroundings of who has submitted the jobs, and
ends when there is nothing to do. It imports sessions, and what is below; nothing imports it.
"""

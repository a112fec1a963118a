"""What runs in Ray's worker processes: a job, or a batch of jobs one after the other.

It is pickled by value, so that the cluster need not have anyjob: it imports the standard library, Ray, and
functions of `anyjob.execution.runner` only. Commands alone need anyjob there. It imports no other folder of
this plugin.
"""

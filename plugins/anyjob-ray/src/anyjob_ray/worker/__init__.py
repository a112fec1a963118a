"""What runs in Ray's worker processes: a job, or a batch of jobs one after the other.

It is pickled by value, so that the cluster need not have anyjob: it imports the standard library, Ray, and
functions of `anyjob.sdk.runner` only, each by its own name: of a module that is named, all would go along.
Commands alone need anyjob there. It imports no other folder of this plugin.
"""

"""Runs anyjob's work on an OpenPBS or PBS Professional cluster: the backend type ``pbs``.

It is a dialect (`dialect`) of anyjob's base for batch schedulers: it talks to PBS by its programs (``qsub``,
``qstat``, ``qdel``) and nothing else.
"""

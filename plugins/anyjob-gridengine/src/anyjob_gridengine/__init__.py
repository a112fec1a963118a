"""Runs anyjob's work on a Grid Engine cluster: the backend type ``gridengine``.

It is a dialect (`dialect`) of anyjob's base for batch schedulers: it talks to Grid Engine by its programs
(``qsub``, ``qstat``, ``qacct``, ``qdel``) and nothing else.
"""

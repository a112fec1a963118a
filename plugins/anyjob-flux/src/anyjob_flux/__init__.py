"""Runs anyjob's work in an instance of Flux: the backend type ``flux``.

It is a dialect (`dialect`) of anyjob's base for batch schedulers: it talks to Flux by its program ``flux``,
and nothing else.
"""

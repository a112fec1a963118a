"""Digests of work: equal for equal content, in every process and on every machine; other for any other.

Imports `anyjob.job`, `anyjob.specs`, and what these may import.
"""

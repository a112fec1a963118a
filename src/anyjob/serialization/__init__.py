"""Calls, other specs and values as bytes, and why something cannot be.

Imports `anyjob.standalone`, `anyjob.spool` and the data of the root.
"""

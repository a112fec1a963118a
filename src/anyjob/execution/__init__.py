"""How work is run on this machine, by whichever backend: calls, programs, interpreters, and their attempts.

Imports `anyjob.standalone`, `anyjob.spool`, `anyjob.serialization` and the data of the root.
"""

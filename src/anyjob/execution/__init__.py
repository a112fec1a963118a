"""How work is run, wherever that is: calls, programs, what they write, and the directory of a job.

Imports the data of the root (`specs`, `status`, `errors`); `runner` imports nothing of anyjob.
"""

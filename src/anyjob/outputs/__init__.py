"""What is read of a job: what it wrote, attempt by attempt, and the files that it left.

Imports the data of the root (`outcome`, `status`, `errors`) and `anyjob.spool`. What takes a job's handle
is called by it.
"""

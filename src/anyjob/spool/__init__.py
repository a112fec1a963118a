"""What a job leaves in its private directory: logs, report, attempts, what it says of itself.

Imports the data of the root (`outcome`, `status`, `errors`) and `anyjob.text`.
"""

"""What is in the private directory of a job: its report and outcome, its environment, what it says of itself.

Imports the data of the root (`outcome`, `status`, `errors`) and `anyjob.text`.
"""

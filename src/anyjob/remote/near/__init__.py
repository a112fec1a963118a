"""The near end of a channel: a backend here that is another machine's.

Imports the protocol, in `anyjob.remote`, and `anyjob.taskbackend`.
"""

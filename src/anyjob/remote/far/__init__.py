"""The far end of a channel: what ``anyjob serve --stdio`` does.

Imports the protocol, in `anyjob.remote`, and `anyjob.views`.
"""

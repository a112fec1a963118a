"""Backends of another machine, by a channel to a program of ours there: the protocol, and its two ends.

``anyjob serve --stdio`` is the far end; a `RemoteBackend` the near one, to which a plugin brings the program
that carries the channel. Imports `anyjob.views`, and what is below it.
"""

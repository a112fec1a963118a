"""What is installed, and who answers to a name: entry points, conflicts, listings, hook plugins.

Imports `anyjob.text`, `anyjob.errors` and `anyjob.hookspecs`; where a class is described, `anyjob.config`. It
is on the path of every start: what is heavy is imported inside of functions.
"""

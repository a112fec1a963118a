"""The keeper: the parent of the jobs of the backend `local`.

It stays light: it imports the standard library, `ipc`, and what is light at the root of `local`.
"""

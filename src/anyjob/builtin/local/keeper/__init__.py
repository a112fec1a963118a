"""The keeper: the parent of the jobs of the backend `local`. Imports the standard library, and `local`."""

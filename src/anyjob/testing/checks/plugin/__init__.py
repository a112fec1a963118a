"""Promises about what a distribution brings: kinds of work, names, its cost in a listing."""

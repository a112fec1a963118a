"""Promises about what a distribution brings: kinds of work, providers, names, its cost in a listing."""

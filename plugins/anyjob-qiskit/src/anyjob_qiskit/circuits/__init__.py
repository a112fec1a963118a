"""Circuits on their way to a backend: what they are, how they are written, checked and transpiled."""

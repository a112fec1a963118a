"""The command line: ``anyjob``."""

from anyjob.cli.app import main

__all__ = ["main"]

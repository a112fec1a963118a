"""The commands that need the kit: ``anyjob backends check`` and ``anyjob plugins check``."""

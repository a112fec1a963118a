"""anyjob's jobs live in a browser: ``anyjob dashboard``."""

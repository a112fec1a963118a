"""PSI/J over any backend of anyjob: its executor ``anyjob``."""

"""Run work on a Ray cluster with anyjob."""

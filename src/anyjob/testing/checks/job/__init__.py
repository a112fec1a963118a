"""Promises about one job, or a few: states, waits, handles, cancels, failures, logs, text byte for byte."""

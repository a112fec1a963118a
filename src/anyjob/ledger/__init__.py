"""The durable record of jobs, in SQLite: its file, tables, rows, queries, and the salvage of a damaged one.

Imports `anyjob.config.secrets`, `anyjob.execution.spool` and the data of the root.
"""

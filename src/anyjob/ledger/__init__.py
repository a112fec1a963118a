"""The durable record of jobs, in SQLite: what is written, and in which words.

`file` holds what there is of it on the disk, `reading` what is looked up in it. Imports
`anyjob.config.secrets`, `anyjob.spool` and the data of the root.
"""

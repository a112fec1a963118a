"""Work from plain data: job files, their matrix and placeholders, and specs from what people write.

Imports `anyjob.session` and what that may import.
"""

"""What the design promises, one class of checks a promise.

A check is a method ``test_…(self, harness)`` that raises AssertionError in words, or SkipTest. It
imports no pytest, so that `anyjob backends check` runs those marked `live` without it.
"""

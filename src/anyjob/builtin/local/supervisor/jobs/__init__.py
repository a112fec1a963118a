"""What a job of `local` takes and shares with others, the order to start it, and what came of it.

Of `supervisor` it imports nothing.
"""

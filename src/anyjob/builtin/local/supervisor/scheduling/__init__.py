"""Which job starts next: the queues of the `local` backends, by priority and turns, as far as there is room.

Of `supervisor` it imports `jobs`.
"""

"""The processes of jobs: what they use, how they are stopped, terminated and reaped.

Of the keeper it imports `job`, for types only.
"""

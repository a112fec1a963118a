"""What this machine has for jobs: memory, GPUs, and what is counted by name.

It imports `refusals`, and of the supervisor what is pure.
"""

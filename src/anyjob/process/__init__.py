"""What holds for one process of ours, whatever it does: forks, what is alive in it, and what it reports.

It stays light, and imports nothing else of anyjob.
"""

"""The zygote: a program that forks a child for each call, in any Python 3.11 or newer.

It imports nothing of anyjob, and nothing imports it: the keeper starts it by its path.
"""

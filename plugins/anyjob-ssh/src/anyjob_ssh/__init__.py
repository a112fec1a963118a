"""Runs anyjob's work on the backends of another machine, over SSH: the backend type ``ssh``.

It starts OpenSSH's own ``ssh``, with the user's configuration, keys, agent and jump hosts; that starts
``anyjob serve --stdio`` there. What is said to ssh and read from it is made and read by pure functions
(`command_line`, `ssh_errors`).
"""

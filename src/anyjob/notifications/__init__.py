"""Somebody is told that jobs have ended, by a job of ours on `local` that starts after these: so it outlives
who asked for it, is tried again, and is listed, logged and cancelled as all jobs are.
"""

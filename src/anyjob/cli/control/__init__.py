"""The commands that do something to jobs: cancel, hold, rerun, attach."""

"""Jobs that start after others, and results of jobs that are arguments of calls."""

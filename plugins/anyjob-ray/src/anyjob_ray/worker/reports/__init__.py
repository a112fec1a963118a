"""What a worker process tells of a job: its end, its output, its result."""

"""``anyjob run``: one piece of work, or the jobs of a file; what is shown meanwhile, and Ctrl-C."""

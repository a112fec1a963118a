"""``anyjob run FILE``: the jobs of a file, how they go, and what comes of them."""

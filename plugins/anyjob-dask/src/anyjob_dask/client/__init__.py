"""What runs where jobs are submitted: the connection, submissions, and what is known of jobs there."""

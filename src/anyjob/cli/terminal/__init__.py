"""What the command line reads from and writes to a terminal: tables, paragraphs, results, values."""

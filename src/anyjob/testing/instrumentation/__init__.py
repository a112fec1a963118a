"""What checks record while something happens: calls of a backend, connections, and programs."""

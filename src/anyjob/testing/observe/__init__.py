"""What checks look through: calls of a backend, what Python is seen to do, specs as people write them."""

"""What is configured: layers, origins of values, options, secrets. Imports `anyjob.text` and errors."""

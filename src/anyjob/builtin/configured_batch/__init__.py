"""The type ``batch``: any batch scheduler, by what the configuration says of its programs."""

"""Text that people write: units, TOML, and the name that was probably meant. Imports `anyjob.errors` only."""

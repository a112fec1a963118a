"""The jobs of a session: found again, by ids or by what is known of them, and acted on, many at once."""

"""The providers of a session: what they offer, and what is said where one refuses."""

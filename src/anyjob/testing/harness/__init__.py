"""What is tested, set up in a session of its own: a backend, a kind of work, a provider, a distribution."""

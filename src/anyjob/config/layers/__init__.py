"""The layers of a configuration: what each is read from, how they merge, and which a value came from."""

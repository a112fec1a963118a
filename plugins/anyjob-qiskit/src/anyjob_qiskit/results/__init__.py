"""Results of circuits: as devices give them, as plain data, and drawn."""

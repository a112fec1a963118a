"""The kind ``estimate``: observables, which circuits measure them, and what follows from counts."""

"""An environment of its own for a test: settings, a registry, a clock, the end of what is left running."""

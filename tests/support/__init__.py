"""What the tests of the core, those of the plugins, and the programs that they start share."""

"""``anyjob backends``. `backends check` is in `anyjob.testing.commands`."""

"""``anyjob plugins`` and ``anyjob new-plugin``. `plugins check` is in `anyjob.testing.commands`."""

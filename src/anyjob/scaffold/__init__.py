"""``anyjob new-plugin``: the names of a plugin, its files made of templates, and how they are written."""

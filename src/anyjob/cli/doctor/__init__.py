"""``anyjob doctor``: what there is to know of an installation that does not do as it should."""

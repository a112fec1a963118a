"""`anyjob providers`: the accounts and clusters that offer backends."""

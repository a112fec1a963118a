"""``anyjob completion``, and what it completes: values of options and arguments, in each shell."""

"""The modes of a backend: ``fast``, whose jobs end with the program, and ``durable``, whose do not."""

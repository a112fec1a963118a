"""``anyjob top``: jobs live in a terminal. What is read, what keys mean and what is drawn stand apart."""

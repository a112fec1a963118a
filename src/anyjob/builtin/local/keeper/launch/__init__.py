"""How the keeper launches what a job is: a program, or a call through a zygote.

Of the keeper it imports `daemon`, `job`, `log` and `processes`.
"""

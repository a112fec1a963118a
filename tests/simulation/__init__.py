"""A deterministic simulation of the `local` backend, clients and ledger and all, in one process.

The code of client, supervisor, keeper and zygotes is the real one. What is replaced is the outside: clocks,
processes, signals, threads, sockets, locks, and when a file cannot be written. A run is made of its seed
alone: the work, who goes on when, and what goes wrong.

- `machine`, `processes`: the machine, whose threads are greenlets, and its clock.
- `files`, `descriptions`, `system`, `threads`, `sql`: what takes the place of `socket`, `os` and so on.
- `facades`: puts it there.
- `programs`: what processes run; `workload`: what clients do.
- `faults`: what goes wrong, and when; `invariants`: what has to hold nevertheless.
- `world`: one run of all that; `run`: many; `mutations`: faults in our code that have to be found.
"""

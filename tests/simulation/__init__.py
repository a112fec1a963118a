"""A deterministic simulation of the `local` backend: client, supervisor, keeper, zygotes and ledger in one process.

The code of all of them is the real one. What is replaced is the outside: clocks, processes, signals, threads,
sockets, locks, and when a file cannot be written. A run is made of its seed alone: the work, who goes on
when, and the faults. See `run` for how to run it.

- `machine`: processes and threads as greenlets, and the clock; `files`: sockets, pipes, locks.
- `facades`: what takes the place of the modules `os`, `time`, `socket` and so on in ours.
- `programs`: what processes run; `workload`: what clients do.
- `faults`: what goes wrong, and when; `invariants`: what has to hold nevertheless.
- `world`: one run of all that; `run`: many; `mutations`: faults in our code that have to be found.
"""

"""Runs anyjob's work on a Slurm cluster: the backend type ``slurm``.

It talks to Slurm by its programs (``sbatch``, ``squeue``, ``sacct``, ``scancel``) and nothing else. What is
read from them and said to them is made and read by pure functions (`parsing`, `states`, `sbatch`).
"""

"""What circuits are called, and what their parameters are, in a few words for listings. Imports no Qiskit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import PurePath

from anyjob import File
from anyjob_qiskit.circuits.lazy_program import LazyProgram

MOST = 4
"""How many circuits, or parameters, are named."""


def names_of(files: Iterable[File | LazyProgram]) -> list[str]:
    """Return the names of the first circuits, and how many others there are. Writes none of them."""
    every = list(files)
    names = [_name_of(each) for each in every[:MOST]]
    return [*names, *_others(len(every))]


def _name_of(file: File | LazyProgram) -> str:
    return file.circuit.name if isinstance(file, LazyProgram) else PurePath(file.path).name


def values_of(parameters: Mapping[str, float | list[float]]) -> list[str]:
    """Return the values of the first parameters, and how many others there are."""
    values = [
        f"{name}=[{len(value)} values]" if isinstance(value, list) else f"{name}={value:g}"
        for name, value in islice(parameters.items(), MOST)
    ]
    return [*values, *_others(len(parameters))]


def _others(number: int) -> list[str]:
    return [f"{number - MOST} more"] if number > MOST else []

"""``anyjob run FILE.toml --results FILE``: the table of a job file as CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from anyjob.cli.run.sweeps.report import SweepRow, columns_of
from anyjob.errors import JobFileError, SpecError

SUFFIXES = (".csv", ".json", ".parquet")


def check_path(path: str) -> None:
    """Find out, before any work is done, whether the table can be written to a file of this name.

    Raises:
        SpecError: its name does not say how, what writes it is not installed, or there is no place for it.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise SpecError(f"--results {path}: the name ends with how it is written: {', '.join(SUFFIXES)}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise SpecError(
            f"--results {path}: Parquet is written by pyarrow: pip install pyarrow; or write a .csv"
        )
    check_place("--results", path)


def check_place(option: str, path: str) -> None:
    """Find out whether a file can be written at a path that an option names, as far as that can be seen.

    Raises:
        SpecError: it cannot.
    """
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise SpecError(f"{option} {path}: there is no directory {directory}: make it first")
    if os.path.isdir(path):
        raise SpecError(f"{option} {path}: that is a directory: name a file")
    if not os.access(directory, os.W_OK):
        raise SpecError(f"{option} {path}: you may not write to the directory {directory}: name another one")


def write(rows: list[SweepRow], path: str) -> None:
    """Write the table; the file is there whole, or as it was before.

    Raises:
        JobFileError: it cannot be written.
    """
    part = f"{path}.part"
    try:
        _write(rows, part, os.path.splitext(path)[1].lower())
        os.replace(part, path)
    except OSError as error:
        raise JobFileError(f"--results {path} cannot be written: {error.strerror or error}") from error


def _write(rows: list[SweepRow], path: str, suffix: str) -> None:
    columns = list(columns_of(rows))
    names = ["job_id", *(name for name, _ in columns), "error"]
    records = [
        {
            "job_id": row.job.job_id(),
            **{name: cells.get(id(row)) for name, cells in columns},
            "error": row.why,
        }
        for row in rows
    ]
    if suffix == ".parquet":
        _write_parquet(names, records, path)
        return
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        if suffix == ".json":
            json.dump(records, stream, indent=2, default=str)
            stream.write("\n")
        else:
            table = csv.writer(stream)
            table.writerow(names)
            table.writerows([[_cell(record[name]) for name in names] for record in records])


def _cell(value: Any) -> Any:
    return json.dumps(value, default=str) if isinstance(value, (dict, list)) else value


def _write_parquet(names: list[str], records: list[dict[str, Any]], path: str) -> None:
    """Write a column as what its values are; as text where they are of several types."""
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")

    def columns() -> Iterator[Any]:
        for name in names:
            values = [record[name] for record in records]
            try:
                yield pyarrow.array(values)
            except (
                pyarrow.ArrowInvalid,
                pyarrow.ArrowTypeError,
                pyarrow.ArrowNotImplementedError,
                OverflowError,
            ):
                yield pyarrow.array([None if v is None else str(_cell(v)) for v in values], pyarrow.string())

    parquet.write_table(pyarrow.table(list(columns()), names=names), path)

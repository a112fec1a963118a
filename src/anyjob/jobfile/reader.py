"""Job files: one piece of work, or one for each combination of parameters, in TOML.

::

    name = "ar-order"                   # optional: what the jobs are called
    backend = "laptop"                  # optional: where they run
    limit = 4                           # optional: how many of that name may run at a time
    fail_fast = true                    # optional: one fails, and the others are cancelled; else they go on

    [command]                           # exactly one of [command], [python] and [job]
    argv = ["python3", "fit.py", "--order", "{order}", "--out", "{out}"]
    env = { SEED = "{seed}" }
    cwd = "."                           # relative to the job file, as are all files of the work;
                                        # without it, where `anyjob run` is called

    # [python]
    # call = "fit:run"                  # module:function
    # args = ["{order}"]                # alone in its string, a parameter keeps its type
    # kwargs = { seed = "{seed}" }

    # [job]                             # any other kind of work
    # type = "acme.notebook"
    # path = "report.ipynb"             # the fields of its spec

    [matrix]                            # optional: one job for each combination, the last axis fastest
    order = [1, 2, 3]
    seed = { range = [0, 10] }          # 0 to 9: as Python's range, [start, stop] or [start, stop, step]
    exclude = [{ order = 3, seed = 9 }] # less those that agree with one of these
    include = [{ order = 9, seed = 1 }] # and these, if not among them; of all axes (without axes: just these)

    [parameters]                        # optional: more parameters, made of others
    dir = "out"
    out = "{dir}/order-{order:02d}.json"

    [resources]                         # optional: cpus, memory, gpus, walltime, tags, retries and
    cpus = 1                            # what else `run` takes
    walltime = "10m"

    [options.slurm]                     # optional: for one type of backend only
    partition = "debug"

    # [write]                           # optional: files of each result, which its kind of work makes
    # pictures = "seed-{seed}"          # relative to the job file; other ones for each job

``{name}`` is replaced in all strings of the work, of ``[parameters]`` and of ``[write]``, ``{name:02d}``
with Python's formats; ``{{`` and ``}}`` are braces. Booleans are written as in TOML. What ``[command]`` is
given becomes text.
"""

from __future__ import annotations

import graphlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from anyjob.errors import JobFileError, SpecError
from anyjob.jobfile.matrix import read_matrix, with_axes
from anyjob.jobfile.placeholders import fill, iter_strings, placeholder_names, to_text
from anyjob.resources import Resources, make_resources
from anyjob.specs import Command
from anyjob.text.suggestions import did_you_mean, nearest
from anyjob.text.toml import (
    InvalidEntry,
    explain_entry,
    parse_toml,
    read_text,
    require_known_keys,
    type_name,
)

_WORK = ("command", "python", "job")
KEYS = (
    *("name", "backend", "limit", "fail_fast", *_WORK),
    *("matrix", "parameters", "resources", "options", "write"),
)
"""What may stand at the head of a job file, or of a step of one."""


class JobEntry(NamedTuple):
    """One job of a file.

    Args:
        parameters: the values of its axes and parameters.
        fields: the fields of its spec, with the parameters filled in.
        writes: the paths of files to be made of its result, by what is in them.
    """

    parameters: dict[str, Any]
    fields: dict[str, Any]
    writes: dict[str, str] = {}


class JobFile(NamedTuple):
    """What a job file says.

    Args:
        path: the file.
        name: what the jobs are called; empty where the file does not say.
        backend: where they run; None where the file does not say.
        kind: the kind of work: ``command``, ``python``, or a plugin's.
        resources: what each needs, as the file has it (checked: `anyjob.Resources` takes it).
        options: for one type of backend each, by its name.
        jobs: one for each combination, at least one.
        limit: how many of that name may run at a time; None: any number.
        fail_fast: the others are cancelled when one has failed.
    """

    path: str
    name: str
    backend: str | None
    kind: str
    resources: dict[str, Any]
    options: dict[str, dict[str, Any]]
    jobs: list[JobEntry]
    limit: int | None = None
    fail_fast: bool = False

    @property
    def directory(self) -> str:
        """The directory of the file: paths in it are relative to that, and ``[python]`` imports from it."""
        return os.path.dirname(self.path)


def load(path: str | os.PathLike[str], axes: Mapping[str, Sequence[Any]] | None = None) -> JobFile:
    """Read a job file.

    Args:
        path: the file.
        axes: values of axes of its matrix, in place of the file's.

    Raises:
        JobFileError: it cannot be read, or cannot be used; names file, line and key.
    """
    name = os.path.abspath(path)
    return parse(read_text(name, error=JobFileError), name, axes)


def parse(text: str, filename: str, axes: Mapping[str, Sequence[Any]] | None = None) -> JobFile:
    """Make sense of the text of a job file. Reads nothing else.

    Args:
        text: what the file holds.
        filename: its path, for errors and for relative paths in it.
        axes: values of axes of its matrix, in place of the file's.

    Raises:
        JobFileError: it cannot be used; names file, line and key.
    """
    data = parse_toml(text, filename, error=JobFileError)
    try:
        return _Reader(data, filename).read(axes or {})
    except InvalidEntry as error:
        raise JobFileError(explain_entry(error, text, filename)) from None


def read_table(data: dict[str, Any], filename: str) -> JobFile:
    """Make sense of what stands in a job file, or in one step of it.

    Raises:
        InvalidEntry: it cannot be used; has the place.
    """
    return _Reader(data, filename).read({})


def read_flag(data: Mapping[str, Any], key: str) -> bool:
    """Return what stands under a key that is true or false.

    Raises:
        InvalidEntry: it is something else.
    """
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise InvalidEntry(key, f"expected true or false, got {type_name(value)}")
    return value


class _Reader:
    def __init__(self, data: dict[str, Any], filename: str) -> None:
        self.filename = filename
        self.data = data
        self.written: set[str] = set()

    def read(self, axes: Mapping[str, Sequence[Any]]) -> JobFile:
        self.check_tables()
        kind, place, fields = self.work()
        matrix = read_matrix(with_axes(self.table("matrix"), axes), is_given="matrix" in self.data)
        parameters = self.table("parameters")
        names = [*matrix.names, *parameters]
        self.check_names(names)
        order = self.in_order(parameters, names)
        self.check_placeholders(place, fields, names)
        self.check_common(names)
        self.check_placeholders("write", self.table("write"), names)
        jobs: list[JobEntry] = []
        for combination in matrix.combinations():
            for name in order:
                filled = fill(f"parameters.{name}", parameters[name], combination)
                combination[name] = filled
            made = fill(place, fields, combination)
            writes = self.writes(combination)
            jobs.append(JobEntry(combination, self.adapt_fields(kind, place, made), writes))
        return JobFile(
            path=self.filename,
            name=self.text("name") or "",
            backend=self.text("backend"),
            kind=kind,
            resources=self.resources(),
            options=self.options(),
            jobs=jobs,
            limit=self.limit(),
            fail_fast=read_flag(self.data, "fail_fast"),
        )

    # --- the parts of the file ----------------------------------------------------------------

    def check_tables(self) -> None:
        for key, value in self.data.items():
            if key not in KEYS and isinstance(value, dict) and nearest(key, KEYS) is None:
                why = 'unknown key; another kind of work is written as [job] with type = "…"'
                raise InvalidEntry(key, why)
        require_known_keys("", self.data, KEYS)

    def table(self, place: str) -> dict[str, Any]:
        value = self.data.get(place, {})
        if not isinstance(value, dict):
            raise InvalidEntry(place, f"expected a table, got {type_name(value)}")
        return value

    def text(self, key: str) -> str | None:
        value = self.data.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise InvalidEntry(key, f"expected text, got {type_name(value) if value != '' else 'none'}")
        return value

    def limit(self) -> int | None:
        value = self.data.get("limit")
        if value is None:
            return None
        if type(value) is not int or value < 0:
            raise InvalidEntry("limit", f"expected a whole number, 0 or more, got {value!r}")
        if "name" not in self.data:
            raise InvalidEntry("limit", 'is of the jobs of one name: say which, name = "fit"')
        return value

    def work(self) -> tuple[str, str, dict[str, Any]]:
        """The kind of work, its table's name, and the fields of its spec."""
        tables = [key for key in _WORK if key in self.data]
        if not tables:
            raise InvalidEntry(
                "", "there is no work in it: add [command] with argv, [python] with call, or [job] with type"
            )
        if len(tables) > 1:
            raise InvalidEntry(
                tables[1], f"a job file has one kind of work, and there is [{tables[0]}] too: drop one"
            )
        (place,) = tables
        fields = dict(self.table(place))
        kind = fields.pop("type", None) if place == "job" else place
        if not isinstance(kind, str) or not kind:
            raise InvalidEntry(
                "job.type",
                "expected the name of a kind of work (`anyjob plugins list` shows which there are)",
            )
        if kind == "command":
            require_known_keys(place, fields, Command.__struct_fields__)
            argv = fields.get("argv")
            if not isinstance(argv, list) or not argv:
                raise InvalidEntry(
                    f"{place}.argv", 'expected a list of a program and its arguments: ["python3", "fit.py"]'
                )
        elif kind == "python":
            require_known_keys(place, fields, ("call", "args", "kwargs"))
            call = fields.get("call")
            if not isinstance(call, str) or not all(call.partition(":")):
                raise InvalidEntry(f"{place}.call", 'expected "module:function"')
        return kind, place, fields

    def resources(self) -> dict[str, Any]:
        table = self.table("resources")
        if "name" in table:
            raise InvalidEntry(
                "resources.name", "the name of the jobs stands at the head of the file: name = …"
            )
        if "options" in table:
            raise InvalidEntry("resources.options", "options have tables of their own: [options.slurm]")
        require_known_keys("resources", table, Resources.__struct_fields__)
        try:
            make_resources(table)
        except SpecError as error:
            raise InvalidEntry("resources", str(error)) from None
        return table

    def options(self) -> dict[str, dict[str, Any]]:
        table = self.table("options")
        for kind, values in table.items():
            if not isinstance(values, dict):
                raise InvalidEntry(
                    f"options.{kind}", f"expected a table by the type of a backend, got {type_name(values)}"
                )
        return table

    def writes(self, combination: Mapping[str, Any]) -> dict[str, str]:
        """The paths of the files that are made of the result of one job."""
        made = {}
        for what, path in self.table("write").items():
            place = f"write.{what}"
            if not isinstance(path, str) or not path:
                raise InvalidEntry(place, f"expected the path of a file, got {type_name(path)}")
            filled = to_text(place, fill(place, path, combination), "is")
            made[what] = os.path.normpath(os.path.join(os.path.dirname(self.filename), filled))
            if made[what] in self.written:
                raise InvalidEntry(
                    place, f"{filled!r} would be written twice: put what tells the jobs apart into the path"
                )
            self.written.add(made[what])
        return made

    # --- parameters ---------------------------------------------------------------------------

    def check_names(self, names: Sequence[str]) -> None:
        for name in names:
            place = f"parameters.{name}" if name in self.table("parameters") else f"matrix.{name}"
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise InvalidEntry(
                    place, "the name of a parameter is made of letters, digits and _, with no digit first"
                )
            if names.count(name) > 1:
                raise InvalidEntry(place, f"{name!r} is an axis of the matrix too: rename one")

    def in_order(self, parameters: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The parameters, each after those that it is made of."""
        made_of = {}
        for name, value in parameters.items():
            used = self.check_placeholders(f"parameters.{name}", value, names)
            made_of[name] = [other for other in used if other in parameters]
        try:
            return list(graphlib.TopologicalSorter(made_of).static_order())
        except graphlib.CycleError as error:
            cycle = error.args[1][::-1]
            raise InvalidEntry(f"parameters.{cycle[0]}", f"made of itself: {' -> '.join(cycle)}") from None

    def check_placeholders(self, place: str, value: Any, names: Sequence[str]) -> list[str]:
        """The parameters that are used somewhere in a value."""
        used = []
        for where, text in iter_strings(place, value):
            here = placeholder_names(where, text)
            for name in here:
                if name not in names:
                    raise InvalidEntry(where, f"unknown parameter {name!r}" + did_you_mean(name, names))
            used += here
        return used

    def check_common(self, names: Sequence[str]) -> None:
        for key in ("name", "backend", "resources", "options"):
            for where, text in iter_strings(key, self.data.get(key)):
                for name in names:
                    if f"{{{name}}}" in text or f"{{{name}:" in text:
                        raise InvalidEntry(
                            where, f"is common to all jobs, so that {{{name}}} is not filled in here"
                        )

    # --- filling in ---------------------------------------------------------------------------

    def adapt_fields(self, kind: str, place: str, fields: dict[str, Any]) -> dict[str, Any]:
        """What a program is given is text; and it runs beside the file."""
        if kind == "python":
            fields["fn"] = fields.pop("call")
        if kind != "command":
            return fields
        for key in ("argv", "env"):
            value = fields.get(key)
            if isinstance(value, list):
                texts = enumerate(value)
                fields[key] = [to_text(f"{place}.{key}[{i}]", item, "is") for i, item in texts]
            elif isinstance(value, dict):
                items = value.items()
                fields[key] = {name: to_text(f"{place}.{key}.{name}", item, "is") for name, item in items}
        if isinstance(fields.get("cwd"), str):
            directory = os.path.dirname(self.filename)
            fields["cwd"] = os.path.normpath(os.path.join(directory, fields["cwd"]))
        return fields

"""Where configuration is read from: files, as far as they are to be trusted, and environment variables."""

from __future__ import annotations

import os

from anyjob.config.directories import platform_directory
from anyjob.config.layers.merging import Layer, merge
from anyjob.config.layers.origins import Origin
from anyjob.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from anyjob.config.layers.origins import Path


def read(
    cwd: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    user_dir: str | os.PathLike[str] | None,
    system_dir: str | os.PathLike[str] | None,
) -> list[Layer]:
    """Return the layers of the files and the environment, from the weakest.

    The arguments, and what is raised, are those of `anyjob.config.settings.Config.load`.
    """
    system = system_dir or platform_directory("site_config", environ)
    layers = [Layer("built-in", values={}), _file("system", os.path.join(system, "config.toml"))]
    explicit = environ.get("ANYJOB_CONFIG")
    if explicit:
        layers.append(_explicit_layer(explicit))
    else:
        user = user_dir or platform_directory("user_config", environ)
        layers.append(_file("user", os.path.join(user, "config.toml")))
    layers.append(_project(cwd, explicit))
    lower, _ = merge(layers)
    return [*layers, _environment(environ, lower)]


# --- files --------------------------------------------------------------------------------------


def _file(name: str, path: str) -> Layer:
    return (None if _missing(path) else _read(name, path)) or Layer(name, path)


def _missing(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:  # of any other, reading it will say why
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return False


def _explicit_layer(path: str) -> Layer:
    layer = _read("user", path, note="named by ANYJOB_CONFIG")
    if layer is None:
        raise ConfigError(f"{path}, named by ANYJOB_CONFIG, has no table [tool.anyjob]")
    return layer


def _read(name: str, path: str, *, note: str = "") -> Layer | None:
    """The layer of a file; None for a pyproject.toml that has no table for us."""
    from anyjob.text.toml import decode, key_lines, line_of, parse_toml, read_bytes, type_name

    prefix = ("tool", "anyjob") if os.path.basename(path) == "pyproject.toml" else ()
    content = read_bytes(path)
    # Most have none, and TOML is slow to read: look for the word first.
    if prefix and b"anyjob" not in content:
        return None
    text = decode(content, path)
    values: Any = parse_toml(text, path)
    for key in prefix:
        values = values.get(key) if isinstance(values, dict) else None
    if values is None:
        return None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: {'.'.join(prefix)}: expected a table, got {type_name(values)}")
    lines = key_lines(text)
    return Layer(
        name,
        path,
        values,
        note=note,
        origin=lambda keys: Origin(name, path, line_of(lines, (*prefix, *keys))),
    )


def _project(cwd: str | os.PathLike[str] | None, explicit: str | None) -> Layer:
    try:
        start = os.path.abspath(cwd if cwd is not None else os.getcwd())
    except FileNotFoundError:
        return Layer("project", note="the working directory is gone")
    for directory in _upwards(start):
        own = os.path.join(directory, "anyjob.toml")
        if os.path.lexists(own):
            return _ignored_layer(own, explicit) or _file("project", own)
        shared = os.path.join(directory, "pyproject.toml")
        layer = _read("project", shared) if _is_readable(shared) else None
        if layer is not None:
            return _ignored_layer(shared, explicit) or layer
    return Layer("project", os.path.join(start, "anyjob.toml"), note="nor in a directory above")


def _upwards(directory: str) -> Iterator[str]:
    while True:
        yield directory
        above = os.path.dirname(directory)
        if above == directory:
            return
        directory = above


def _is_readable(path: str) -> bool:
    # A pyproject.toml that we may not read is somebody else's business.
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


def _ignored_layer(path: str, explicit: str | None) -> Layer | None:
    """A layer that says why this file is not read; None where it is."""
    if explicit and os.path.realpath(path) == os.path.realpath(explicit):
        return Layer("project", path, note="read already, since ANYJOB_CONFIG names it")
    why = _why_untrusted(path)
    if not why:
        return None
    import warnings

    warnings.warn(
        f"{path} is ignored: {why}, and it decides what runs. "
        f"If you trust it: ANYJOB_CONFIG={path} reads it in place of the user's configuration",
        stacklevel=5,
    )
    return Layer("project", path, note=f"ignored: {why}")


def _why_untrusted(path: str) -> str:
    # A link counts with what it points to. Root may write everywhere anyway.
    trusted = (0, os.geteuid())
    try:
        files = os.lstat(path), os.stat(path)
        directory = os.stat(os.path.dirname(path))
    except OSError:
        return ""  # reading it will say why
    if any(file.st_uid not in trusted for file in files):
        return "another user owns it"
    if (files[1].st_mode | directory.st_mode) & 0o002:
        return "everybody may write to it, or to its directory"
    return ""


# --- environment variables ----------------------------------------------------------------------


def _environment(environ: Mapping[str, str], lower: Mapping[str, Any]) -> Layer:
    values: dict[str, Any] = {}
    variables: dict[Path, str] = {}
    if environ.get("ANYJOB_BACKEND"):
        values["default_backend"] = environ["ANYJOB_BACKEND"]
        variables[("default_backend",)] = "ANYJOB_BACKEND"
    for variable in sorted(environ):
        first, *names = variable.split("__")
        if names and first in ("ANYJOB_BACKENDS", "ANYJOB_PROVIDERS"):
            from anyjob.text.toml import MOST_DEEP

            if not all(names) or len(names) > MOST_DEEP:
                raise ConfigError(
                    f"environment variable {variable}: two underscores stand between two names, "
                    f"of which there are {MOST_DEEP} at most"
                )
            path = _match_known_case(lower, [first.removeprefix("ANYJOB_"), *names], variable)
            _put(values, path, environ[variable], variable, variables)
    return Layer(
        "environment",
        values=values or None,
        origin=lambda path: Origin("environment", label=f"environment variable {variables[path]}"),
    )


def _match_known_case(lower: Mapping[str, Any], names: list[str], variable: str) -> Path:
    path: list[str] = []
    level: Any = lower
    for name in names:
        known = [key for key in level if _flat(key) == _flat(name)] if isinstance(level, dict) else []
        if len(known) > 1 and name.lower() not in known:
            raise ConfigError(
                f"environment variable {variable}: {name} could be any of {', '.join(map(repr, known))}"
            )
        path.append(known[0] if len(known) == 1 else name.lower())
        level = level.get(path[-1]) if isinstance(level, dict) else None
    return tuple(path)


def _flat(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _put(values: dict[str, Any], path: Path, text: str, variable: str, variables: dict[Path, str]) -> None:
    for depth, key in enumerate(path[:-1], 1):
        owner = variables.setdefault(path[:depth], variable)
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise ConfigError(
                f"environment variables {owner} and {variable} contradict each other: unset one"
            )
    if path[-1] in values:
        raise ConfigError(
            f"environment variables {variables[path]} and {variable} contradict each other: unset one"
        )
    variables[path] = variable
    values[path[-1]] = text

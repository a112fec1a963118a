"""TOML as people write it: read, with the line and column of what is wrong with it."""

from __future__ import annotations

from anyjob.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from anyjob.errors import AnyjobError

    Path = tuple[str, ...]

MOST_DEEP = 50
"""Levels of tables and arrays within each other: recursion over them must have an end."""


def read_text(path: str, *, error: type[AnyjobError] = ConfigError) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8 (or another ``error``).
    """
    return decode(read_bytes(path, error=error), path, error=error)


def read_bytes(path: str, *, error: type[AnyjobError] = ConfigError) -> bytes:
    """Return what a file holds.

    Raises:
        ConfigError: it cannot be read (or another ``error``).
    """
    import os
    import stat

    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # to open it may wait for ever
            raise error(f"{path}: is a pipe, not a file")
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as cause:
        raise error(f"{path}: cannot be read: {cause.strerror or cause}") from cause


def decode(content: bytes, name: str, *, error: type[AnyjobError] = ConfigError) -> str:
    """Return the text of a file; a byte order mark at its head is dropped.

    Raises:
        ConfigError: it is not UTF-8 (or another ``error``).
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = content.count(b"\n", 0, cause.start) + 1
        raise error(f"{name}:{line}: not UTF-8 text: save it as UTF-8") from None


def parse_toml(text: str, name: str, *, error: type[AnyjobError] = ConfigError) -> dict[str, Any]:
    """Return what a TOML text says.

    Raises:
        ConfigError: it is not valid; names line and column (or another ``error``).
    """
    import tomllib

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        import re

        match = re.fullmatch(
            r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(cause), re.DOTALL
        )
        reason, line, column = match.groups() if match else (str(cause), None, None)
        line = line or str(text.count("\n") + 1)
        column = column or str(len(text) - text.rfind("\n"))
        raise error(
            f"{name}:{line}:{column}: not valid TOML (line {line}, column {column}): {reason}"
        ) from None
    except RecursionError:
        values = None
    except ValueError as cause:  # an integer of more digits than Python reads
        raise error(f"{name}: not valid TOML: {cause}") from None
    if values is None or _depth(values) > MOST_DEEP:
        raise error(f"{name}: tables or arrays are nested too deeply: {MOST_DEEP} levels at most")
    return values


def _depth(value: Any) -> int:
    # Not recursive: a.a.a.a… nests as deeply as the line is long.
    depth, level = 0, [value]
    while level and depth <= MOST_DEEP:
        depth += 1
        items = (item for table in level for item in (table.values() if isinstance(table, dict) else table))
        level = [item for item in items if isinstance(item, (dict, list))]
    return depth


def key_lines(text: str) -> dict[Path, int]:
    """Return the lines, from 1, on which keys and the headers of tables stand.

    What stands below the second of several ``[[job]]`` is below ``("job", "[1]")``, as the second entry of an
    array is that goes over several lines. Good enough for messages: what TOML can hide in odd places (quotes
    with escapes in keys) has no line of its own, nor have the keys of a table in ``{ }``, which is one line.
    """
    import re

    word = r"""(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')"""
    dotted = rf"{word}(?:\s*\.\s*{word})*"
    header = re.compile(rf"\s*(\[\[?)\s*({dotted})\s*\]\]?\s*(?:#.*)?")
    assignment = re.compile(rf"\s*({dotted})\s*=")
    lines: dict[Path, int] = {}
    arrays: dict[Path, int] = {}  # of tables: how many each has up to here
    table: Path = ()
    inside = ""  # the quotes of a text of several lines
    entries_end = offset = 0
    for number, line in enumerate(text.split("\n"), 1):
        start, offset = offset, offset + len(line) + 1
        if number <= entries_end:
            continue
        if inside:
            inside = "" if line.count(inside) % 2 else inside
            continue
        if found := header.fullmatch(line.rstrip("\r")):
            *around, last = _keys(re.findall(word, found[2]))
            table = ()
            for key in around:
                table = _in_last(arrays, (*table, key))
            table = (*table, last)
            if found[1] == "[[":
                arrays[table] = arrays.get(table, 0) + 1
                table = _in_last(arrays, table)
            lines.setdefault(table, number)
        elif found := assignment.match(line):
            path = (*table, *_keys(re.findall(word, found[1])))
            lines.setdefault(path, number)
            if line[found.end() :].lstrip().startswith("["):
                for entry, entries_end in _entry_lines(text, start + found.end(), path, number):
                    if entry and entries_end != number:
                        lines.setdefault(entry, entries_end)
                continue
            inside = next((quotes for quotes in ('"""', "'''") if line.count(quotes) % 2), "")
    for path, number in list(lines.items()):  # a header also makes the tables around its own
        for depth in range(1, len(path)):
            lines.setdefault(path[:depth], number)
    return lines


def _entry_lines(text: str, start: int, array: Path, number: int) -> Iterator[tuple[Path, int]]:
    """Yield the entries of an array, and of arrays in it, with their lines; last (), with that of its end."""
    import re

    words = re.compile(
        r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[][{},\n]|[^][{},\s"\'#]+',
        re.DOTALL,
    )
    around: list[Path] = []  # the arrays that this is in, and () for a table
    counts: list[int] = []
    for found in words.finditer(text, start):
        word = found[0]
        if word in ("]", "}"):
            around.pop()
            counts.pop()
            if not around:
                break
        elif word == ",":
            counts[-1] += 1
        elif word != "\n" and not word.startswith("#"):
            here = (*around[-1], f"[{counts[-1]}]") if around and around[-1] else () if around else array
            if around and here:
                yield here, number
            if word in ("[", "{"):
                around.append(here if word == "[" else ())
                counts.append(0)
        number += word.count("\n")
    yield (), number


def _in_last(arrays: Mapping[Path, int], table: Path) -> Path:
    """Return where what is below a table stands; of an array of them, that is the last one."""
    return (*table, f"[{arrays[table] - 1}]") if table in arrays else table


def _keys(words: list[str]) -> Path:
    return tuple(word.strip("\"'") for word in words)


def explain_entry(error: InvalidEntry, text: str, filename: str) -> str:
    """Return what is wrong with an entry of a file, with file, line and place."""
    import re

    line = line_of(key_lines(text), tuple(re.split(r"\.|(?=\[)", error.place)))
    at = filename if line is None else f"{filename}:{line}"
    return f"{at}: {error.place}: {error}" if error.place else f"{at}: {error}"


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a key, or of the nearest table around it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def type_name(value: object) -> str:
    """Return what a value is, in TOML's words; never the value, which may be a secret."""
    words = {bool: "boolean", int: "integer", float: "float", str: "string", dict: "table", list: "array"}
    return words.get(type(value), type(value).__name__)


class InvalidEntry(ValueError):
    """An entry of a file that cannot be used.

    Args:
        place: where, as in ``command.argv[2]``; empty for the file as a whole.
        why: what is wrong.
    """

    def __init__(self, place: str, why: str) -> None:
        super().__init__(why)
        self.place = place


def require_known_keys(place: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse keys that a table does not have.

    Raises:
        InvalidEntry: names the first of them, and the key that was probably meant.
    """
    for key in table:
        if key not in known:
            from anyjob.text.suggestions import did_you_mean

            raise InvalidEntry(f"{place}.{key}" if place else key, "unknown key" + did_you_mean(key, known))

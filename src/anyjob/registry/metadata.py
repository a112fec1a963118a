"""The metadata of what is installed: which distributions there are, and their entry points.

What importlib_metadata says about entry points is the truth. Where the path has plain directories, the
``entry_points.txt`` files in them are read here, and only those that mention a name are parsed for it,
since to import importlib_metadata takes longer than that. For everything else (zip files, eggs, what
others have put on ``sys.meta_path``) it is asked.

This module is on the path of every start, so that it imports nothing that a bare interpreter has not.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    Entry = tuple[str, str, str]  # group, name, value

GROUP_PREFIX = b"anyjob."
"""What the bytes of every distribution hold that may have entry points of ours."""

_INFO = (".dist-info", ".egg-info")


class Source:
    """The metadata of one installed distribution.

    Attributes:
        distribution: its normalised name, as pip takes it.
        root: the entry of the path that it was found in.
        location: the directory (or file) that holds its metadata.
        data: bytes in which all groups and names of its entry points occur, so that most can be
            passed over without parsing them.
    """

    __slots__ = ("_entries", "_headers", "_read", "data", "distribution", "location", "root")

    def __init__(
        self,
        distribution: str,
        root: str,
        location: str,
        data: bytes,
        entries: list[Entry] | None = None,
        read: Callable[[str], str | None] | None = None,
    ) -> None:
        self.distribution = distribution
        self.root = root
        self.location = location
        self.data = data
        self._entries = entries
        self._read = read
        self._headers: list[tuple[str, str]] | None = None

    def entries(self) -> list[Entry]:
        """Return the entry points as (group, name, value).

        Raises:
            ValueError: the file cannot be read as one of entry points; says why.
        """
        if self._entries is None:
            self._entries = list(parse(self.data.decode("utf-8")))
        return self._entries

    def metadata(self) -> str | None:
        """Return the text of METADATA (of PKG-INFO, for an egg), or None where there is none."""
        return self.read("METADATA") or self.read("PKG-INFO") or self.read("") or None

    def read(self, name: str) -> str | None:
        """Return the text of a file of the metadata, or None where there is none.

        Args:
            name: of the file; empty for metadata that is one file.
        """
        return (self._read or self._read_file)(name)

    def _read_file(self, name: str) -> str | None:
        if not self.location:  # of a program: what lies about in the working directory is not its
            return None
        try:
            path = os.path.join(self.location, name) if name else self.location
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None

    @property
    def version(self) -> str:
        """The version: from the metadata, else from the directory's name, else empty."""
        return self.header("version") or _name_and_version(self.location)[1]

    @property
    def summary(self) -> str:
        """What it is, in one line; empty where its metadata does not say."""
        return self.header("summary")

    @property
    def links(self) -> dict[str, str]:
        """The addresses that its metadata names, by what they lead to, such as ``Documentation``."""
        named = [value.partition(",") for key, value in self._read_headers() if key == "project-url"]
        found = {label.strip(): url.strip() for label, _, url in named if url.strip()}
        home = self.header("home-page")
        return {"Homepage": home, **found} if home else found

    def header(self, field: str) -> str:
        """Return the first header of METADATA of this name, in lower case; empty where there is none."""
        return next((value for key, value in self._read_headers() if key == field), "")

    def _read_headers(self) -> list[tuple[str, str]]:
        if self._headers is None:
            self._headers = list(_headers(self.metadata() or ""))
        return self._headers

    @property
    def editable(self) -> str:
        """The directory that it was installed from in editable mode, as pip wrote it down; else empty."""
        text = self.read("direct_url.json")
        if not text:
            return ""
        import json
        from urllib.parse import unquote

        try:
            installed = json.loads(text)
            url = installed["url"] if installed["dir_info"]["editable"] else ""
        except (ValueError, KeyError, TypeError):
            return ""
        return unquote(url.removeprefix("file://")) if isinstance(url, str) else ""

    def __str__(self) -> str:
        if not self.distribution:
            return "this program"
        return f"{self.distribution} {self.version or '(no version)'}"


def normalise(name: str) -> str:
    """Return the name of a distribution as pip compares it: lower case, runs of ``-_.`` as one dash."""
    name = name.lower().replace("_", "-").replace(".", "-")
    while "--" in name:
        name = name.replace("--", "-")
    return name


def parse(text: str) -> Iterator[Entry]:
    """Read the text of an ``entry_points.txt`` as importlib_metadata does: (group, name, value).

    Raises:
        ValueError: a line in a section has no ``=``.
    """
    group = None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line.strip("[]")
        elif group is not None:
            name, equals, value = line.partition("=")
            if not equals:
                raise ValueError(f"line {number} of entry_points.txt has no '=': {line!r}")
            yield group, name.strip(), value.strip()


def discover(path: Iterable[str]) -> Iterator[Source]:
    """Yield every distribution, in the order in which the finders of ``sys.meta_path`` would give them."""
    roots = _roots(path)
    done = False
    for finder in list(sys.meta_path):
        if not hasattr(finder, "find_distributions"):
            continue
        if not _is_path_finder(finder):
            yield from _ask_finder(finder, roots)
        elif not done:
            done = True
            yield from _on_path(roots)
    if not done:
        yield from _on_path(roots)


def _roots(path: Iterable[str]) -> list[str]:
    roots = []
    for entry in path:
        if not entry:
            try:
                entry = os.getcwd()
            except OSError:
                continue
        if isinstance(entry, str) and entry not in roots:
            roots.append(entry)
    return roots


def _is_path_finder(finder: Any) -> bool:
    """Ask for Python's own finder, importlib_metadata's (one of them may be vendored), and their like."""
    name = (getattr(finder, "__name__", None) or type(finder).__name__, str(finder.__module__))
    return name == ("PathFinder", "_frozen_importlib_external") or (
        name[0] == "MetadataPathFinder" and name[1].rpartition(".")[2] == "importlib_metadata"
    )


def _on_path(roots: Sequence[str]) -> Iterator[Source]:
    for root in roots:
        found = None if root.lower().endswith(".egg") else _in_directory(root)
        yield from _ask_importlib_metadata(root) if found is None else found


def _in_directory(root: str) -> list[Source] | None:
    """What a directory holds; None where it is none, so that importlib_metadata has to be asked."""
    try:
        children = os.listdir(root)
    except (FileNotFoundError, PermissionError):
        return []
    except OSError:
        return None
    found = []
    base = root if root.endswith("/") else f"{root}/"
    for child in children:
        if child.lower().endswith(_INFO):
            location = base + child
            data = _read(f"{location}/entry_points.txt")
            found.append(
                Source(_name_and_version(child)[0] or _name_in_metadata(location), root, location, data)
            )
    return found


def _read(path: str) -> bytes:
    """The whole file, or nothing: half the time of open(), which counts when there are a thousand."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return b""
    try:
        data = os.read(descriptor, 65536)
        while len(data) % 65536 == 0 and (more := os.read(descriptor, 65536)):
            data += more
        return data
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _name_and_version(location: str) -> tuple[str, str]:
    """The distribution and the version that the name of a metadata directory tells, as far as it does."""
    child = os.path.basename(location)
    if not child.lower().endswith(_INFO):
        return "", ""
    name, _, version = child.rpartition(".")[0].partition("-")
    return normalise(name), version.partition("-py")[0]


def _name_in_metadata(location: str) -> str:
    return normalise(_header(Source("", "", location, b"").metadata() or "", "name"))


def _headers(text: str) -> Iterator[tuple[str, str]]:
    for line in text.partition("\n\n")[0].splitlines():  # what follows is long
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():  # else it goes on with the one before, which nobody asks for
            yield key.lower(), value.strip()


def _header(text: str, field: str) -> str:
    return next((value for key, value in _headers(text) if key == field), "")


def _ask_importlib_metadata(root: str) -> Iterator[Source]:
    from importlib_metadata import MetadataPathFinder

    return _ask_finder(MetadataPathFinder, [root])


def _ask_finder(finder: Any, roots: Sequence[str]) -> Iterator[Source]:
    from importlib_metadata import DistributionFinder

    context: Any = DistributionFinder.Context
    try:
        for distribution in finder.find_distributions(context(path=list(roots))):
            yield _from_distribution(distribution, finder)
    except Exception as error:
        # What others put on sys.meta_path must not keep anyjob from starting.
        yield _broken(f"{finder!r}", f"it cannot list its distributions: {error!r}")


def _from_distribution(distribution: Any, finder: Any) -> Source:
    location = str(getattr(distribution, "_path", "")).rstrip("/")
    root = os.path.dirname(location) or f"{finder!r}"

    def read(name: str) -> str | None:
        try:
            text: str | None = distribution.read_text(name)
        except Exception:  # of somebody's own finder: what cannot be read is not there
            return None
        return text

    name = _name_and_version(location)[0] or normalise(
        _header(read("METADATA") or read("PKG-INFO") or "", "name")
    )
    text = read("entry_points.txt")
    try:
        entries = [(entry.group, entry.name, entry.value) for entry in distribution.entry_points]
    except Exception as error:  # of a distribution that somebody's own finder has made
        if text is not None and "anyjob." not in text:
            return Source(name, root, location, b"", [], read)
        return _broken(location or root, f"entry_points.txt cannot be read: {error!r}", name)
    data = "".join(f"{group}\n{name}\n" for group, name, _ in entries).encode("utf-8", "replace")
    return Source(name, root, location or root, data, entries, read)


def _broken(location: str, why: str, name: str = "") -> Source:
    source = _Unreadable(name or location, location, location, GROUP_PREFIX)
    source.why = why
    return source


class _Unreadable(Source):
    """A source whose entry points cannot be read."""

    __slots__ = ("why",)
    why: str

    def entries(self) -> list[Entry]:
        raise ValueError(self.why)

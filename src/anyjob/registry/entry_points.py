"""The entry-point groups, and references: what an entry point says, and how it is loaded."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from anyjob.registry.metadata import Source

BACKENDS = "anyjob.backends"
JOB_TYPES = "anyjob.job_types"
PROVIDERS = "anyjob.providers"
PLUGINS = "anyjob.plugins"
COMMANDS = "anyjob.commands"
API = "anyjob.api"
GROUPS = (BACKENDS, JOB_TYPES, PROVIDERS, PLUGINS, COMMANDS, API)

NAMED = frozenset((BACKENDS, JOB_TYPES, PROVIDERS, COMMANDS))
"""The groups whose names are asked for."""

CORE = "anyjob"
"""The distribution of the core, which is never switched off as a whole."""

API_VERSION = "v1"
"""The version of the plugin interface that this anyjob has."""


def wrong_name(name: str) -> str:
    """Say why this cannot be the name of a backend, a provider, a kind or a command; empty where it can."""
    if name[:1] not in ("", "-", ".") and all(letter.isalnum() or letter in "-_." for letter in name):
        return ""
    return f"{name!r} is no name: it has letters, digits, '_', '-' and '.', and begins with no '-' or '.'"


class Reference:
    """What an entry point says: a name, and where the object of that name is to be imported from.

    Attributes:
        group: the entry-point group, such as ``anyjob.backends``.
        name: the name in it.
        value: ``module:attribute``.
        api: the versions of the plugin interface that it was written for, such as ``("v1",)``.
        source: the metadata of the distribution.
    """

    __slots__ = ("api", "group", "name", "source", "value")

    def __init__(
        self, group: str, name: str, value: str, source: Source, api: tuple[str, ...] = (API_VERSION,)
    ) -> None:
        self.group = group
        self.name = name
        self.value = value
        self.api = api
        self.source = source

    @property
    def marks(self) -> list[str]:
        """What stands in brackets behind the value: ``[renamed, new-name]`` or ``[deprecated]``."""
        _, bracket, rest = self.value.partition("[")
        return [each.strip() for each in rest.rstrip().removesuffix("]").split(",")] if bracket else []

    @property
    def renamed(self) -> str:
        """The name that has taken the place of this one; empty where none has."""
        marks = self.marks
        return marks[1] if len(marks) == 2 and marks[0] == "renamed" else ""

    @property
    def deprecated(self) -> bool:
        """Whether this name is not to be used any more."""
        return self.marks[:1] in (["renamed"], ["deprecated"])

    @property
    def distribution(self) -> str:
        """The normalised name of the distribution; empty for what a program registered."""
        return self.source.distribution

    @property
    def version(self) -> str:
        """The version of the distribution; read from its metadata when asked for."""
        return self.source.version

    @property
    def location(self) -> str:
        """Where the metadata of the distribution is."""
        return self.source.location

    @property
    def root(self) -> str:
        """The entry of the path that the distribution was found in."""
        return self.source.root

    @property
    def module(self) -> str:
        """The name of the module to import.

        Raises:
            ValueError: the value is no ``module:attribute``.
        """
        return split_value(self.value)[0]

    def load(self) -> Any:
        """Import the module, and return the object: whatever that raises; see `anyjob.registry.importing`."""
        module, attributes = split_value(self.value)
        __import__(module)
        found: Any = sys.modules[module]
        for attribute in attributes:
            found = getattr(found, attribute)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, ...]:
        return (self.group, self.name, self.value, self.distribution, self.location)

    def __str__(self) -> str:
        return f"{self.name} = {self.value} of {self.source}"

    def __repr__(self) -> str:
        return f"<Reference {self.group}: {self.name} = {self.value} from {self.distribution or 'a program'}>"


def split_value(value: str) -> tuple[str, list[str]]:
    """Return module and attributes of ``module:attribute.attribute [extra]``.

    Raises:
        ValueError: it is none.
    """
    target = value.partition("[")[0] if value.endswith("]") else value
    module, colon, attributes = (part.strip() for part in target.partition(":"))
    parts = attributes.split(".") if attributes else []
    if not all(part.isidentifier() for part in [*module.split("."), *parts]) or (colon and not parts):
        raise ValueError(f"{value!r} is no 'module:attribute'")
    return module, parts

"""The names in a new plugin: made of the few that its author gives, and checked."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass

from anyjob.errors import SpecError
from anyjob.registry.metadata import normalise

FLAVOURS = ("rest", "scheduler", "provider", "legacy")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_KIND = re.compile(rf"({_NAME.pattern})\.({_NAME.pattern})")
_LONGEST = 30
"""Characters of a name, at most: lines of the templates are to stay below their limit."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a new plugin and its parts are called.

    Args:
        distribution: what is installed: ``anyjob-acme``.
        backend: the type of backend, or of provider, ``acme``; None where the plugin has none.
        flavour: what that starts from: one of `FLAVOURS`; None where there is none.
        kind: the kind of work, ``acme.report``; None where the plugin has none.

    Raises:
        SpecError: a name that cannot be one, with a way out.
    """

    distribution: str
    backend: str | None = None
    flavour: str | None = None
    kind: str | None = None

    def __post_init__(self) -> None:
        _check_distribution(self.distribution, self.package)
        if self.backend is None and self.kind is None:
            raise SpecError("a plugin brings something: give --backend NAME, --job-type PREFIX.NAME, or both")
        if self.backend is None and self.flavour is not None:
            raise SpecError(f"--flavour {self.flavour} is one of a backend: give --backend NAME, too")
        if self.backend is not None:
            _check_name("backend", self.backend)
            _check_class(f"{self.prefix}Backend", self.backend)
        if self.kind is not None:
            _check_kind(self.kind)
            _check_class(self.kind_class, self.kind)
            _check_class(f"{self.kind_class}Job", self.kind)

    @property
    def package(self) -> str:
        """What is imported: ``anyjob_acme``."""
        return normalise(self.distribution).replace("-", "_")

    @property
    def prefix(self) -> str:
        """What the names of the backend's classes begin with: ``Acme``."""
        return _camel(self.backend or "")

    @property
    def kind_class(self) -> str:
        """The class of the specs: ``AcmeReport``."""
        return _camel(self.kind or "")


def _check_distribution(name: str, package: str) -> None:
    if not _DISTRIBUTION.fullmatch(name) or len(name) > _LONGEST:
        raise SpecError(
            f"{name!r} cannot be the name of a distribution: letters, digits, and '-', '_' and '.' between "
            f"them, {_LONGEST} at most; for instance 'anyjob-acme'"
        )
    if not package.isidentifier() or keyword.iskeyword(package):
        raise SpecError(
            f"{name!r} would be imported as {package!r}, which is no name in Python: try 'anyjob-{name}'"
        )
    if package == "anyjob" or package in sys.stdlib_module_names:
        raise SpecError(
            f"{name!r} would be imported as {package!r}, which is somebody else's: try 'anyjob-acme', "
            "with the name of your service in place of acme"
        )


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        near = _lowered(name)
        hint = f"; for instance {near!r}" if _NAME.fullmatch(near) and len(near) <= _LONGEST else ""
        raise SpecError(
            f"{name!r} cannot be the name of a {what}: small letters and digits, a letter first, and '-' or "
            f"'_' between them, {_LONGEST} at most{hint}"
        )


def _check_kind(name: str) -> None:
    if "." not in name:
        raise SpecError(
            f"a kind of work has a prefix, so that two plugins cannot mean different things by one name: "
            f"{name!r} could be 'acme.{_lowered(name)}', with your name in place of acme"
        )
    if not _KIND.fullmatch(name) or len(name) > _LONGEST:
        raise SpecError(
            f"{name!r} cannot be the name of a kind of work: PREFIX.NAME, each of small letters and digits, "
            f"a letter first, and '-' or '_' between them, {_LONGEST} at most; for instance 'acme.report'"
        )


def _check_class(name: str, of: str) -> None:
    import anyjob

    if name in anyjob.__all__:
        raise SpecError(f"{of!r} would need a class {name}, and anyjob has one of that name: choose another")


def _lowered(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))

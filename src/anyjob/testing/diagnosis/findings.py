"""What a check of plugins can find: one table, which the documentation shows too."""

from __future__ import annotations

from typing import Any

ERROR, WARNING, NOTE = LEVELS = ("error", "warning", "note")

CHECKS: dict[str, tuple[str, str]] = {
    "unreadable": (ERROR, "its entry points cannot be read"),
    "stale": (ERROR, "it is left over from another version, or from one that was removed"),
    "ambiguous": (ERROR, "another distribution registers the same name"),
    "incompatible": (ERROR, "it was written for another version of the plugin interface"),
    "twice": (ERROR, "it registers one name twice"),
    "name": (ERROR, "it registers a name that cannot be asked for"),
    "hidden": (ERROR, "its subcommand has the name of one of anyjob's own"),
    "dependency": (ERROR, "something that it requires is missing, or of a version that it does not take"),
    "import": (ERROR, "what it registers cannot be imported, or is not what it should be"),
    "hangs": (ERROR, "its import does not end"),
    "hook": (ERROR, "a hook is unknown, has an unknown argument, or is no plain function"),
    "register": (ERROR, "its hook `anyjob_register` fails"),
    "abstract": (ERROR, "a class lacks methods that it has to bring"),
    "constructor": (ERROR, "a class cannot be made as `from_options` makes it"),
    "declaration": (ERROR, "an attribute that a class declares is not what it should be"),
    "private": (ERROR, "it has a name of its own where the base class keeps something private"),
    "option": (ERROR, "an option, or a field of a spec, is of a type that no configuration can fill"),
    "tag": (ERROR, "the kind that a spec declares is not the name of its entry point"),
    "api": (WARNING, "it does not say which version of the plugin interface it was written for"),
    "bounds": (WARNING, "it does not say which versions of anyjob it works with"),
    "internal": (WARNING, "it imports a module of anyjob's that is not public"),
    "kind": (WARNING, "a kind of work has no prefix, or a kind that is named is not installed"),
    "flag": (WARNING, "a field of a spec has the name of an option of `anyjob run`"),
    "prints": (WARNING, "it writes to stdout or stderr when it is imported"),
    "threads": (WARNING, "it starts threads when it is imported"),
    "slow": (WARNING, "its import takes more than a second of processor time"),
    "heavy": (WARNING, "what is imported for listings and at every start imports packages of others"),
    "undocumented": (WARNING, "an option, a field of a spec or a subcommand does not say what it is for"),
    "secret": (WARNING, "an option looks like a secret, and is kept and shown as plain text"),
    "brings": (NOTE, "its module imports packages of others, when it is used"),
    "blocked": (NOTE, "it is switched off by the environment"),
    "shadowed": (NOTE, "somebody else answers in its place, to no harm"),
    "unmarked": (NOTE, "a hook lacks the marker `@hookimpl`"),
    "untyped": (NOTE, "it has no `py.typed`, so that type checkers do not see its types"),
}
"""Of each check its level, and what it says of a plugin."""


class Finding:
    """One thing that a check has found.

    Args:
        check: one of `CHECKS`.
        message: what is wrong.
        hint: what to do about it.
        location: the place, as ``module:line`` or a file; empty where there is none to name.
        entry_point: the entry point, as ``group:name``; empty for what the whole distribution has.
    """

    __slots__ = ("check", "entry_point", "hint", "level", "location", "message")

    def __init__(
        self, check: str, message: str, hint: str, location: str = "", entry_point: str = ""
    ) -> None:
        self.check = check
        self.level = CHECKS[check][0]
        self.message = message
        self.location = location
        self.hint = hint
        self.entry_point = entry_point

    def to_dict(self) -> dict[str, str]:
        """Return all of it by name."""
        return {
            name: getattr(self, name)
            for name in ("level", "check", "entry_point", "message", "location", "hint")
        }

    @classmethod
    def from_dict(cls, values: dict[str, str]) -> Finding:
        """Return the finding that `to_dict` was made of."""
        return cls(*(values[name] for name in ("check", "message", "hint", "location", "entry_point")))

    def __repr__(self) -> str:
        return f"<Finding {self.level} {self.check}: {self.message}>"


def location_of(thing: Any) -> str:
    """Return where a class or function is defined, as ``module:line``; only the module where that is all.

    Args:
        thing: the class or function, or a module; anything else is described by its type.
    """
    import inspect

    if inspect.ismodule(thing):
        return thing.__name__
    thing = inspect.unwrap(thing) if callable(thing) else type(thing)
    module = getattr(thing, "__module__", None) or "?"
    try:
        return f"{module}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return module

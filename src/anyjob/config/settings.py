"""Configuration: layers of TOML in which later ones win, and every value knows where it came from.

The layers, from the weakest:

1. built-in: `BUILTIN`;
2. system: ``config.toml`` in the system's directory for anyjob (on Linux ``/etc/xdg/anyjob``);
3. user: ``config.toml`` in the user's (``~/.config/anyjob``), or instead of it the file that
   ``ANYJOB_CONFIG`` names, which must exist;
4. project: the nearest ``anyjob.toml``, or ``[tool.anyjob]`` in a ``pyproject.toml``, from the working
   directory upwards (beside an ``anyjob.toml`` the other is not read). One that somebody else could have put
   there is ignored with a warning: it decides what runs;
5. environment: ``ANYJOB_BACKEND`` is the default backend, ``ANYJOB_BACKENDS__HPC__PARTITION`` is
   ``backends.hpc.partition``, ``ANYJOB_PROVIDERS__IBM__TOKEN__ENV`` is ``providers.ibm.token.env``. A name is
   taken for the one in the files that differs from it only in case, and in having ``-`` or ``.`` for ``_``;
   where there is none, for its lower case. Other variables are left alone;
6. arguments: `Config.with_overrides`.

Layers merge key by key, within a backend's table too. There are two exceptions: a table that says where a
secret is replaces another as a whole, and a layer that changes a backend's ``type`` begins its table anew,
since the options of one type mean nothing to another.
"""

from __future__ import annotations

import os

from anyjob import _typing as t
from anyjob.config.layers.merging import GROUPS, Layer, merge, plain_copy
from anyjob.config.layers.origins import Origin, Values, placed
from anyjob.errors import ConfigError

BUILTIN = {"default_backend": "local"}
"""What holds where nobody configured anything; ``Config.default_backend`` itself is then None."""

KEYS = ("default_backend", *GROUPS, "notify", "plugins", "resources")


class Plugins:
    """Which plugins are switched on: see `anyjob.Registry`.

    Args:
        allow: these only; None: all.
        deny: not these.
    """

    __slots__ = ("allow", "deny")

    def __init__(self, allow: list[str] | None = None, deny: t.Iterable[str] = ()) -> None:
        self.allow, self.deny = allow, list(deny)


class Entry:
    """One configured backend or provider.

    Args:
        name: what it was called.
        type: the name of its type.
        options: the rest of its table.
    """

    __slots__ = ("name", "options", "type")

    def __init__(self, name: str, type: str, options: Values) -> None:
        self.name, self.type, self.options = name, type, options

    @property
    def origins(self) -> t.Mapping[str, Origin]:
        """Where each option came from, by dotted key; the table itself under ``""``."""
        return self.options.origins

    def __repr__(self) -> str:
        return f"<Entry {self.name!r} of type {self.type!r}>"


class Config:
    """A configuration. Does not change once it is made, and reads nothing by itself.

    Make one by `Config.load` or `Config.from_dict`.

    Attributes:
        backends: the configured backends that are of the right shape, by name.
        providers: likewise the providers.
    """

    backends: t.Mapping[str, Entry]
    providers: t.Mapping[str, Entry]

    def __init__(self, layers: t.Iterable[Layer] = ()) -> None:
        self._layers = tuple(layers)
        values, self._origins = merge(self._layers)
        self._values = _concealed(values)
        self._entries = {group: self._make_entries(group) for group in GROUPS}
        self.backends, self.providers = (
            {name: entry for name, entry in entries.items() if isinstance(entry, Entry)}
            for entries in self._entries.values()
        )

    @classmethod
    def from_dict(cls, values: t.Mapping[str, t.Any], origin: str = "from_dict()") -> Config:
        """Make a configuration of what a program has. Reads no files and no environment.

        Args:
            values: what a file would hold; may also hold `Secret` objects.
            origin: what to call its source in errors and listings.

        Raises:
            ConfigError: it is no mapping.
        """
        if not hasattr(values, "items"):
            raise ConfigError(f"{origin}: a configuration is a mapping, as a file holds it, not {values!r}")
        return cls().with_overrides(values, origin, layer="program")

    @classmethod
    def load(
        cls,
        cwd: str | os.PathLike[str] | None = None,
        environ: t.Mapping[str, str] | None = None,
        user_dir: str | os.PathLike[str] | None = None,
        system_dir: str | os.PathLike[str] | None = None,
    ) -> Config:
        """Read the files and the environment.

        Args:
            cwd: where the search for the project's file begins; by default the working directory.
            environ: instead of ``os.environ``.
            user_dir: instead of the user's directory for configuration.
            system_dir: instead of the system's.

        Raises:
            ConfigError: a file cannot be read, or is not valid TOML.
        """
        from anyjob.config.layers.sources import read

        return cls(read(cwd, os.environ if environ is None else environ, user_dir, system_dir))

    def with_overrides(
        self, values: t.Mapping[str, t.Any], origin: str = "arguments", *, layer: str = "arguments"
    ) -> Config:
        """Return this configuration with another layer on top.

        Args:
            values: what a file would hold.
            origin: what to call its source in errors and listings.
            layer: the kind of source, as the ``layer`` of an `Origin`.
        """
        given = Origin(layer, label=origin)
        return Config([*self._layers, Layer(layer, values=values, note=origin, origin=lambda path: given)])

    @property
    def default_backend(self) -> str | None:
        """The name of the default backend, or None where nobody configured one.

        Raises:
            ConfigError: it is no text.
        """
        name = self._values.get("default_backend")
        if name is not None and (not isinstance(name, str) or not name):
            raise self._mistyped(("default_backend",), "the name of a backend", name)
        return name

    @property
    def plugins(self) -> Plugins:
        """Which plugins are switched on.

        Raises:
            ConfigError: the table ``plugins`` is none, or has anything but the lists ``allow`` and ``deny``.
        """
        table = self._values.get("plugins", {})
        if not isinstance(table, dict):
            raise self._mistyped(("plugins",), "a table", table)
        for key, value in table.items():
            if key not in Plugins.__slots__:
                from anyjob.text.suggestions import did_you_mean

                raise self._problem(("plugins", key), "unknown key" + did_you_mean(key, Plugins.__slots__))
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise self._mistyped(("plugins", key), "an array of names", value)
        return Plugins(**table)

    @property
    def resources(self) -> dict[str, int]:
        """How much all backends of a machine have together: ``cpus``, ``memory`` in bytes, and others.

        Raises:
            ConfigError: it is no table of such counts.
        """
        table = self._values.get("resources")
        if table is None:
            return {}
        if not isinstance(table, dict):
            raise self._mistyped(("resources",), "a table", table)
        from anyjob.config.counts import OF_THE_MACHINE, read_counts

        counts: dict[str, int] = {}
        for name, value in table.items():
            try:
                counts |= read_counts({name: value}, OF_THE_MACHINE)
            except ConfigError as error:
                raise self._problem(("resources", name), placed(str(error), table)[1]) from None
        return counts

    @property
    def notify(self) -> dict[str, Values]:
        """The options of each channel by which somebody is told that jobs have ended, by name.

        Raises:
            ConfigError: it is no table of tables.
        """
        tables = self._values.get("notify", {})
        if not isinstance(tables, dict):
            raise self._mistyped(("notify",), "a table", tables)
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise self._mistyped(("notify", name), "a table", table)
        origins = self._origins_in("notify")
        return {
            name: Values(plain_copy(table), f"notify.{name}", origins[name]) for name, table in tables.items()
        }

    def entry(self, group: str, name: str) -> Entry | None:
        """Return what is configured under a name, or None where nothing is.

        Args:
            group: ``backends`` or ``providers``.
            name: what it was called.

        Raises:
            ConfigError: its table is not of the right shape.
        """
        whole = self._values.get(group, {})
        if not isinstance(whole, dict):
            raise self._mistyped((group,), "a table", whole)
        entry = self._entries[group].get(name)
        if isinstance(entry, ConfigError):
            raise entry
        return entry

    def origin(self, path: str | tuple[str, ...]) -> Origin | None:
        """Return where a value came from, or None where nothing is configured there.

        Args:
            path: dotted, as in ``backends.hpc.partition``; or a tuple, for names that hold dots.
        """
        if isinstance(path, str):
            path = next((keys for keys in self._origins if ".".join(keys) == path), (path,))
        return self._origins.get(path) or (Origin("built-in") if ".".join(path) in BUILTIN else None)

    def layers(self) -> list[Layer]:
        """Return every source, from the weakest, those too that are not there."""
        return list(self._layers)

    def problems(self) -> list[ConfigError]:
        """Return what is wrong with the shape of it: unknown keys, no tables, no types.

        Options are checked against their types elsewhere, since that imports plugins.
        """
        found = []
        for key, value in self._values.items():
            if key not in KEYS:
                from anyjob.text.suggestions import did_you_mean

                found.append(self._problem((key,), "unknown key" + did_you_mean(key, KEYS)))
            elif key in GROUPS and not isinstance(value, dict):
                found.append(self._mistyped((key,), "a table", value))
        for name in ("default_backend", "plugins", "resources", "notify"):
            try:
                getattr(self, name)
            except ConfigError as error:
                found.append(error)
        entries = (entry for group in GROUPS for entry in self._entries[group].values())
        return found + [entry for entry in entries if isinstance(entry, ConfigError)]

    def to_dict(
        self, redact: bool = True, secret_keys: t.Callable[[Entry], t.Iterable[str]] | None = None
    ) -> dict[str, t.Any]:
        """Return what holds in the end, as a file would have it.

        Args:
            redact: show no secrets: secrets that are kept elsewhere as where that is; text under keys
                such as ``token`` and ``password``, and passwords in URLs, as ``***``.
            secret_keys: tells of an entry which of its (dotted) keys are secrets, whatever their names;
                see `anyjob.config.options.secret_fields`.
        """
        values: dict[str, t.Any] = plain_copy({**BUILTIN, **self._values})
        from anyjob.config.secrets import mask_secrets, plain_text

        if not redact:
            plain: dict[str, t.Any] = plain_text(values)
            return plain

        hidden = {
            (group, entry.name, *key.split("."))
            for group, entries in zip(GROUPS, (self.backends, self.providers), strict=True)
            for entry in entries.values()
            for key in (secret_keys(entry) if secret_keys is not None else ())
        }
        return {key: mask_secrets(value, (key,), hidden) for key, value in values.items()}

    def _make_entries(self, group: str) -> dict[str, Entry | ConfigError]:
        tables = self._values.get(group)
        if not isinstance(tables, dict):
            return {}
        origins = self._origins_in(group)
        entries: dict[str, Entry | ConfigError] = {}
        for name, table in tables.items():
            wrong = _wrong_entry(name, table)
            if wrong:
                entries[name] = self._problem((group, name), wrong)
            else:
                # What is missing in a table is best added beside its type.
                own = {**origins[name], "": origins[name]["type"]}
                options = {key: plain_copy(value) for key, value in table.items() if key != "type"}
                entries[name] = Entry(name, table["type"], Values(options, f"{group}.{name}", own))
        return entries

    def _origins_in(self, group: str) -> dict[str, dict[str, Origin]]:
        """Return for each table of a group where its values came from, by dotted key; itself as ``""``."""
        origins: dict[str, dict[str, Origin]] = {}
        for path, origin in self._origins.items():
            if path[0] == group and len(path) > 1:
                origins.setdefault(path[1], {})[".".join(path[2:])] = origin
        return origins

    def _problem(self, path: tuple[str, ...], why: str) -> ConfigError:
        place = ".".join(path)
        origin = self._origins.get(path)
        return ConfigError(f"{origin}: {place}: {why}" if origin else f"{place}: {why}")

    def _mistyped(self, path: tuple[str, ...], wanted: str, value: object) -> ConfigError:
        from anyjob.text.toml import type_name

        return self._problem(path, f"expected {wanted}, got {type_name(value)}")

    def __repr__(self) -> str:
        names = [*self.backends, *self.providers]
        return f"<Config of {', '.join(names) if names else 'nothing'}>"


def _concealed(values: dict[str, t.Any]) -> dict[str, t.Any]:
    """Have secrets that stand in a configuration itself not shown when somebody looks at it."""
    tables = {group: values[group] for group in (*GROUPS, "notify") if isinstance(values.get(group), dict)}
    if not any(tables.values()):
        return values
    from anyjob.config.secrets import concealed

    return {**values, **{group: concealed(entries, names=False) for group, entries in tables.items()}}


def _wrong_entry(name: str, table: object) -> str:
    from anyjob.text.toml import type_name

    if not name or "/" in name:
        return "a name is text without '/', which stands between a provider and its backend"
    if not isinstance(table, dict):
        return f'expected a table with a type, got {type_name(table)}; write {{ type = "…" }}'
    if "type" not in table:
        return 'has no type; add type = "…" (`anyjob plugins list` shows which there are)'
    if not isinstance(table["type"], str) or not table["type"]:
        return f"type: expected the name of a type, got {type_name(table['type'])}"
    return ""

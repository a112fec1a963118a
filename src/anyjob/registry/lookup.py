"""Names to classes: who answers to a name, and why somebody else does not.

A registry knows what is installed and from where; it holds no configuration. To look a name up imports
the one plugin that answers to it.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock

from anyjob import _typing as t
from anyjob.errors import (
    AmbiguousNameError,
    BlockedPluginError,
    BrokenPluginError,
    IncompatiblePluginError,
    PluginError,
    UnknownNameError,
)
from anyjob.process.forks import in_each_process
from anyjob.registry.conflicts import ConflictResolver
from anyjob.registry.discovery import Scan
from anyjob.registry.entry_points import (
    API,
    BACKENDS,
    COMMANDS,
    GROUPS,
    JOB_TYPES,
    PLUGINS,
    PROVIDERS,
    Reference,
    wrong_name,
)
from anyjob.registry.importing import load
from anyjob.registry.metadata import Source, normalise
from anyjob.registry.selection import Selection

# What the names of a group are called, and what they must be.
_KINDS = {
    BACKENDS: ("backend", "anyjob.backend", "BaseBackend"),
    JOB_TYPES: ("job type", "anyjob.job", "BaseJob"),
    PROVIDERS: ("provider", "anyjob.provider", "BaseProvider"),
    COMMANDS: ("command", "click", "Command"),
}

_DESCRIBED = (BACKENDS, PROVIDERS, JOB_TYPES)


class Registry:
    """Resolves names of backends, job types, providers and commands.

    Made in no time: the path is read on the first look-up. May be used from several threads.

    A name is sought first among what the program registered on this object, then among the entry
    points of what is installed, then among what plugins register in ``anyjob_register``.
    ``"distribution:name"`` picks one of several that have the same name.

    Args:
        path: where to look for installed distributions; None: ``sys.path``, as it then is.
        environ: where to look for ``ANYJOB_DISABLE_PLUGINS``, ``ANYJOB_ONLY_PLUGINS`` and
            ``ANYJOB_STRICT_PLUGINS``; None: ``os.environ``, as it then is.
        allow: the only plugins that are on, beside what anyjob itself brings; None: all. Each text is the
            name of a distribution or of what one registers, ``GROUP/NAME`` (``plugins/*``: all hook
            plugins), or one of these behind ``DISTRIBUTION:``; ``*`` stands for any text.
        deny: the plugins that are off, likewise.

    Raises:
        ConfigError: one of these texts names a group that there is not.
    """

    def __init__(
        self,
        path: t.Sequence[str] | None = None,
        environ: t.Mapping[str, str] | None = None,
        *,
        allow: t.Iterable[str] | None = None,
        deny: t.Iterable[str] = (),
    ) -> None:
        self._path = path
        self._environ = environ
        self._allow = None if allow is None else list(allow)
        self._deny = list(deny)
        if self._allow or self._deny:
            Selection({}, self._allow, self._deny)  # what is wrong with them is told here
        self._registered: dict[tuple[str, str], _RegisteredObject] = {}
        self._dynamic: dict[tuple[str, str], _RegisteredObject] = {}
        self._registered_generation = -1
        self._hooks: t.HookManager | None = None
        self._found: dict[str, dict[str, t.Any]] = {group: {} for group in GROUPS}
        self._scanned: Scan | None = None
        self._cached_resolver: ConflictResolver | None = None
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = RLock()
        self._registration_lock = RLock()
        self._collected: dict[tuple[str, str], _RegisteredObject] | None = None  # while plugins register

    def backend(self, name: str) -> type[t.BaseBackend]:
        """Return the class of a backend type.

        Raises:
            UnknownNameError: nobody answers to the name.
            AmbiguousNameError: several do.
            BlockedPluginError: who answers is switched off by the environment.
            BrokenPluginError: who answers cannot be loaded, or is no backend.
            IncompatiblePluginError: who answers was written for another plugin interface.
        """
        found: type[t.BaseBackend] | None = self._found[BACKENDS].get(name)
        return found if found is not None else self._load(BACKENDS, name)

    def job_type(self, name: str) -> type[t.BaseJob]:
        """Return the class of a kind of work; raises as `backend` does."""
        found: type[t.BaseJob] | None = self._found[JOB_TYPES].get(name)
        return found if found is not None else self._load(JOB_TYPES, name)

    def provider(self, name: str) -> type[t.BaseProvider]:
        """Return the class of a provider type; raises as `backend` does."""
        found: type[t.BaseProvider] | None = self._found[PROVIDERS].get(name)
        return found if found is not None else self._load(PROVIDERS, name)

    def command(self, name: str) -> t.click.Command:
        """Return a subcommand of the command line; raises as `backend` does."""
        found: t.click.Command | None = self._found[COMMANDS].get(name)
        return found if found is not None else self._load(COMMANDS, name)

    def register_backend(self, name: str, cls: type[t.BaseBackend]) -> None:
        """Register a class as a backend type in this registry, before all that is installed.

        A plugin calls this from ``anyjob_register``; its names come after all that is installed.

        Raises:
            BrokenPluginError: this is no subclass of `BaseBackend`, or the name cannot be one.
            AmbiguousNameError: another class is registered under the name.
        """
        self._register(BACKENDS, name, cls)

    def register_job_type(self, name: str, cls: type[t.BaseJob]) -> None:
        """Register a class as a kind of work; see `register_backend`."""
        self._register(JOB_TYPES, name, cls)

    def register_provider(self, name: str, cls: type[t.BaseProvider]) -> None:
        """Register a class as a provider type; see `register_backend`."""
        self._register(PROVIDERS, name, cls)

    @property
    def hooks(self) -> t.HookManager:
        """The hook plugins; they are loaded on the first call of a hook."""
        with self._lock:
            if self._hooks is None:
                from anyjob.registry.hooks import HookManager

                self._hooks = HookManager(self.hook_plugins(), strict=self._resolver.strict)
            return self._hooks

    def hook_plugins(self) -> list[Reference]:
        """Return the installed hook plugins that are to be loaded, without loading them."""
        installed = self._scan().find(PLUGINS)
        if not installed:
            return []
        from anyjob.registry.listing import group_contenders

        return [
            each
            for same in group_contenders(installed)
            for each, state, _ in self._resolver.resolve(same)
            if state == "ok"
        ]

    def names(self, group: str, *, hooks: bool = True) -> list[str]:
        """Return the names of a group that can be asked for, sorted; imports what `listing` does.

        Raises:
            UnknownNameError: there is no such group.
        """
        return sorted({each.name for each in self.listing(group, hooks=hooks) if each.usable})

    def origin(self, group: str, name: str) -> Reference | None:
        """Return who answers to a name, without loading it; None where nobody does, or several do.

        Raises:
            UnknownNameError: there is no such group.
        """
        _require_group(group)
        try:
            return self._resolve(group, name)
        except PluginError:
            return None

    def describe(self, name: str, group: str | None = None) -> dict[str, t.Any]:
        """Return what a name stands for, as plain data that can be written as JSON; imports its plugin.

        Args:
            name: of a backend type, a provider type, or a kind of work.
            group: its entry-point group, such as ``anyjob.providers``; None: whichever has the name.

        Returns:
            ``group``, ``name``, ``distribution``, ``version``, ``summary``, ``links``, ``renamed``,
            ``deprecated``, ``class`` and ``doc``. Of a backend also ``options``, ``job_options``, ``accepts``
            and ``capabilities``; of a provider ``options`` and ``backend_options``; of a kind ``spec`` and
            ``lowers_to``. Options and specs are lists of fields, each with ``name``, ``type``, ``required``,
            ``default``, ``doc`` and ``secret``; with ``_schema`` behind their names, they are JSON Schemas.
            Both are None where the class declares nothing.

        Raises:
            AmbiguousNameError: several groups have the name.
            PluginError: as `backend` does.
        """
        if group is None:
            groups = [each for each in _DESCRIBED if self.origin(each, name) is not None]
            if len(groups) > 1:
                picks = " or ".join(f"group={each!r}" for each in groups)
                raise AmbiguousNameError(f"several things are called {name!r}: say which by {picks}")
            group = groups[0] if groups else BACKENDS
        elif group not in _DESCRIBED:
            _require_group(group)
            raise UnknownNameError(f"nothing is described of {group!r}: there are {', '.join(_DESCRIBED)}")
        from anyjob.registry.description import describe

        found = self._load(group, name)
        return describe(self._resolve(group, name), found)

    def listing(self, group: str | None = None, *, hooks: bool = True) -> list[t.ListingEntry]:
        """Return all that is known of a group, or of all but ``anyjob.api``, with what is wrong with it.

        Imports no backend and no job type, but the hook plugins where there are any, since only they know
        the names that they register. What is wrong with plugins is in the lines.

        Args:
            group: an entry-point group.
            hooks: False imports the hook plugins neither; what they have not registered yet, and what
                keeps them from being loaded, is not in the listing then.

        Raises:
            UnknownNameError: there is no such group.
        """
        if group is not None:
            _require_group(group)
        from anyjob.registry.listing import list_group, unreadable_entries

        if hooks:
            try:
                self._call_register_hooks()
            except PluginError:
                pass  # only where plugins are strict; what is wrong is listed below
        scan = self._scan()
        listed = unreadable_entries(scan) if group is None else []
        for each in [each for each in GROUPS if each != API] if group is None else [group]:
            own, dynamic = (
                [given for (of, _), given in names.items() if of == each]
                for names in (self._registered, self._dynamic)
            )
            listed += list_group(each, scan, self._resolver, own, dynamic, self._problems())
        return sorted(listed, key=lambda line: (line.group, line.name, line.distribution, line.location))

    def refresh(self) -> None:
        """Look again at what is installed, in place: what was installed meanwhile is found, what was
        removed is not, what failed is tried again, and new hook plugins are loaded.

        What the program registered stays. A module that is imported already stays as it is.
        """
        from importlib import invalidate_caches

        with self._lock:
            invalidate_caches()
            self._scanned = None
            self._cached_resolver = None
            self._found = {group: {} for group in GROUPS}
            self._dynamic = {}
            self._registered_generation = -1
            if self._hooks is not None:
                self._hooks.update(self.hook_plugins())

    def _load(self, group: str, name: str) -> t.Any:
        found = self._found[group]  # this one, should a refresh come in between
        reference = self._resolve(group, name)
        loaded = reference.given if isinstance(reference, _RegisteredObject) else load(reference)
        _check(reference, loaded)
        if reference.deprecated:
            _warn_of_deprecated(reference)
        found[name] = loaded
        return loaded

    def _resolve(self, group: str, name: str) -> Reference:
        own = self._registered.get((group, name))
        if own is not None:
            return own
        candidates = self._candidates(group, name)
        if not candidates:
            raise UnknownNameError(self._unknown(group, name))
        by_state: dict[str, list[tuple[Reference, str, str]]] = {}
        for resolution in self._resolver.resolve(candidates):
            by_state.setdefault(resolution[1], []).append(resolution)
        if "ok" in by_state:
            return by_state["ok"][0][0]
        for state, error in _ERRORS.items():
            if state in by_state:
                reference, _, why = by_state[state][0]
                raise error(f"{_KINDS[group][0]} {name!r}: {why}")
        raise AssertionError(f"no resolution on {reference!r}")  # pragma: no cover

    def _candidates(self, group: str, name: str) -> list[Reference]:
        """Who has this name, by metadata, else by hook; ``distribution:name`` picks among them."""
        distribution, colon, rest = name.partition(":")
        for dynamic in (False, True):
            if dynamic:
                self._call_register_hooks()
            found = self._named(group, name, dynamic)
            if not found and colon:
                found = self._named(group, rest, dynamic)
                found = [each for each in found if each.distribution == normalise(distribution)]
            if found:
                return found
        return []

    def _named(self, group: str, name: str, dynamic: bool) -> list[Reference]:
        if not dynamic:
            return self._scan().find(group, name)
        given = self._dynamic.get((group, name))
        return [given] if given is not None else []

    def _register(self, group: str, name: str, cls: t.Any) -> None:
        plugin = self._hooks.current if self._hooks is not None else None
        given = _RegisteredObject(group, name, cls, plugin)
        if wrong := wrong_name(name):
            raise BrokenPluginError(f"{_KINDS[group][0]} {given}: {wrong}")
        _check(given, cls)
        with self._lock:
            names = self._registered
            if plugin is not None:
                names = self._dynamic if self._collected is None else self._collected
            other = names.get((group, name))
            if other is not None and other.given is not cls:
                raise AmbiguousNameError(
                    f"{_KINDS[group][0]} {name!r} is registered already, as {other}: "
                    f"give {given} another name"
                )
            names[group, name] = given
            self._found[group].pop(name, None)

    def _call_register_hooks(self) -> None:
        """Have the hook plugins register their names, once for each set of plugins."""
        if self._hooks is None and not self.hook_plugins():
            return
        with self._registration_lock:
            if self._collected is not None:
                return  # a plugin looks a name up while it registers others
            generation = self.hooks.generation
            if generation == self._registered_generation:
                return
            self._collected = {}
            try:
                self.hooks.call("anyjob_register", registry=self)
                self._dynamic = self._collected
                self._registered_generation = generation
            finally:
                self._collected = None

    def _scan(self) -> Scan:
        scan = self._scanned
        if scan is None:
            with self._lock:
                scan = self._scanned
                if scan is None:
                    path = sys.path if self._path is None else [os.fspath(each) for each in self._path]
                    scan = self._scanned = Scan(path)
        return scan

    @property
    def _resolver(self) -> ConflictResolver:
        if self._cached_resolver is None:
            environ = os.environ if self._environ is None else self._environ
            strict = environ.get("ANYJOB_STRICT_PLUGINS", "") not in ("", "0")
            selection = Selection(environ, self._allow, self._deny)
            self._cached_resolver = ConflictResolver(selection, strict)
        return self._cached_resolver

    def _unknown(self, group: str, name: str) -> str:
        from anyjob.registry.listing import unknown_name_message

        listed = self.listing(group)
        elsewhere = [kind for other, (kind, _, _) in _KINDS.items() if self._scan().find(other, name)]
        return unknown_name_message(
            _KINDS[group][0], group, name, listed, elsewhere, self._problems().values(), self._scan()
        )

    def _problems(self) -> dict[Reference, PluginError]:
        return {} if self._hooks is None else self._hooks.problems


class _RegisteredObject(Reference):
    """What a program, or a plugin in ``anyjob_register``, has registered: nothing is left to import."""

    __slots__ = ("given",)

    def __init__(self, group: str, name: str, given: t.Any, plugin: Reference | None) -> None:
        value = f"{getattr(given, '__module__', '?')}:{getattr(given, '__qualname__', repr(given))}"
        source = Source("", "", "", b"") if plugin is None else plugin.source
        super().__init__(group, name, value, source)
        self.given = given


# What to raise where nobody answers, by the state of those who might have; the first that applies.
_ERRORS: dict[str, type[PluginError]] = {
    "ambiguous": AmbiguousNameError,
    "incompatible": IncompatiblePluginError,
    "blocked": BlockedPluginError,
    "broken": BrokenPluginError,
}


def _require_group(group: str) -> None:
    if group not in GROUPS:
        from anyjob.text.suggestions import did_you_mean

        raise UnknownNameError(f"no group of plugins is called {group!r}{did_you_mean(group, GROUPS)}")


def _warn_of_deprecated(reference: Reference) -> None:
    import warnings

    kind, new = _KINDS[reference.group][0], reference.renamed
    way_out = f"is called {new!r} now: name it so" if new else "is going to be removed: see its documentation"
    warnings.warn(f"{kind} {reference.name!r} of {reference.source} {way_out}", FutureWarning, stacklevel=2)


def _check(reference: Reference, loaded: t.Any) -> None:
    """Refuse what is not what the group is for.

    Raises:
        BrokenPluginError: says what it is instead.
    """
    kind, module, name = _KINDS[reference.group]
    __import__(module)
    wanted = getattr(sys.modules[module], name)
    if reference.group == COMMANDS:
        right = isinstance(loaded, wanted)
    else:
        right = isinstance(loaded, type) and issubclass(loaded, wanted)
    if right:
        return
    what = f"the class {loaded.__qualname__}" if isinstance(loaded, type) else f"{loaded!r:.80}"
    expected = "an instance" if reference.group == COMMANDS else "a subclass"
    raise BrokenPluginError(f"{kind} {reference} is {what}, which is not {expected} of {module}.{name}")

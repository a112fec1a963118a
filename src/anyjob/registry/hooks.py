"""The hook plugins: loaded one by one on the first call of a hook, the broken ones left out.

pluggy carries the hooks; it is imported only where there is a plugin to register. Every implementation
is registered behind a guard, so that one that raises is reported and the rest still run.
"""

from __future__ import annotations

from _thread import RLock, _local

from anyjob.errors import BrokenPluginError, PluginError, Refused
from anyjob.process.forks import in_each_process
from anyjob.registry.entry_points import PLUGINS, Reference
from anyjob.registry.importing import load
from anyjob.registry.metadata import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    import pluggy

LOGGER = "anyjob.plugins"
_FIRST_RESULT = ("anyjob_choose_backend",)
_HISTORIC = ("anyjob_configure",)
_MAY_REFUSE = ("anyjob_before_submit",)

_NO_PLAIN_FUNCTION = 0x20 | 0x80 | 0x200  # code flags: generator, coroutine, asynchronous generator


class HookManager:
    """Calls the hooks of `anyjob.hookspecs` in all plugins that implement them.

    May be used from several threads.

    Args:
        references: the entry points of the group ``anyjob.plugins``; nothing is imported before the
            first call of a hook.
        strict: raise what would otherwise be reported (``ANYJOB_STRICT_PLUGINS=1``).

    Attributes:
        problems: the plugins that could not be loaded, and why.
    """

    def __init__(self, references: Iterable[Reference] = (), *, strict: bool = False) -> None:
        self.problems: dict[Reference, PluginError] = {}
        self._strict = strict
        self._local = _local()
        self._pending: list[Reference] = []
        self._plugins: dict[Reference, tuple[Any, Any]] = {}  # the plugin, and its guards
        self._manager: pluggy.PluginManager | None = None
        self._implemented: frozenset[str] = frozenset()
        self._generation = 0
        self._history: list[tuple[str, dict[str, Any]]] = []
        self._reported: set[object] = set()
        self._only: str | None = None  # the distribution that is not left out
        in_each_process(self._make_own)
        self.update(references)

    def _make_own(self) -> None:
        self._lock = RLock()

    @property
    def current(self) -> Reference | None:
        """The plugin whose hook is being called in this thread, if any."""
        current: Reference | None = getattr(self._local, "current", None)
        return current

    @property
    def generation(self) -> int:
        """A number that grows whenever a plugin comes or goes; loads those that are due."""
        if self._pending:
            self._load()
        return self._generation

    def update(self, references: Iterable[Reference]) -> None:
        """Take note of what is installed now: the new plugins, and those that were broken, are loaded
        on the next call of a hook. Those loaded before stay."""
        with self._lock:
            self.problems = {}
            new = [each for each in references if each not in self._plugins and not self._is_foreign(each)]
            self._pending = sorted(new, key=lambda each: (each.distribution, each.name))

    def restrict(self, distribution: str) -> list[str]:
        """Leave out the plugins of all other distributions, from now on; those of the program itself stay.

        Returns the names of the distributions that had some.
        """
        with self._lock:
            self._only = distribution
            foreign = [each for each in self._pending if self._is_foreign(each)]
            self._pending = [each for each in self._pending if not self._is_foreign(each)]
            loaded = [(each, plugin) for each, (plugin, _) in self._plugins.items() if self._is_foreign(each)]
            for reference, plugin in loaded:
                self.unregister(plugin)
                foreign.append(reference)
        return sorted({each.distribution for each in foreign})

    def _is_foreign(self, reference: Reference) -> bool:
        return self._only is not None and reference.distribution not in ("", self._only)

    def implements(self, hook: str) -> bool:
        """Ask whether any plugin implements a hook: cheap, for what is called once a job.

        Raises:
            BrokenPluginError: a plugin cannot be loaded; only where the manager is strict.
        """
        if self._pending:
            self._load()
        return hook in self._implemented

    def call(self, hook: str, /, **arguments: Any) -> Any:
        """Call a hook in all plugins that implement it.

        A historic hook (``anyjob_configure``) loads no plugins: those that are loaded later get it then.

        Returns:
            What the implementations returned, without the Nones; for ``anyjob_choose_backend`` the
            first answer that is not None, or None.

        Raises:
            Refused: by an implementation of ``anyjob_before_submit``.
            BrokenPluginError: a plugin cannot be loaded, or an implementation raised; only where the
                manager is strict. Otherwise both are reported, and the rest still run.
        """
        if hook in _HISTORIC:
            with self._lock:
                self._history.append((hook, arguments))
                if self._manager is not None:
                    getattr(self._manager.hook, hook).call_historic(kwargs=arguments)
            return []
        if not self.implements(hook):
            return None if hook in _FIRST_RESULT else []
        return getattr(self._pluggy_manager().hook, hook)(**arguments)

    def each(self, hook: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Call a hook in one plugin after the other, each with the arguments as they are by then.

        Yields:
            the name of a plugin, and what it has returned, if it was not None.

        Raises:
            Refused: as `call` does, and the rest of it.
        """
        if self.implements(hook):
            for one in reversed(getattr(self._pluggy_manager().hook, hook).get_hookimpls()):
                answer = one.function(*(arguments[name] for name in one.argnames))
                if answer is not None:
                    yield one.plugin.plugin, answer

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin that a program has at hand: a module or an object with hook implementations.

        Raises:
            BrokenPluginError: it implements an unknown hook, or a known one with arguments that it does
                not have, or none at all.
        """
        name = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        self._add(Reference(PLUGINS, name, f"{name}@{id(plugin):x}", Source("", "", "", b"")), plugin)

    def unregister(self, plugin: Any) -> None:
        """Take a plugin out again; it may have come from an entry point.

        Raises:
            ValueError: it is not registered.
        """
        with self._lock:
            for reference, (known, guards) in self._plugins.items():
                if known is plugin:
                    self._pluggy_manager().unregister(guards)
                    del self._plugins[reference]
                    self._update_implemented()
                    return
        raise ValueError(f"{plugin!r} is not registered as a plugin")

    def _load(self) -> None:
        # Imports happen outside the lock: another thread may hold a module's import lock and call a
        # hook from there. Several threads may do the same here, to the same end.
        if getattr(self._local, "loading", False):
            return  # a plugin calls a hook while it is imported: those loaded so far hear of it
        self._local.loading = True
        try:
            for reference in list(self._pending):
                self._load_one(reference)
        finally:
            self._local.loading = False

    def _load_one(self, reference: Reference) -> None:
        try:
            self._add(reference, load(reference))
        except PluginError as error:
            new = reference not in self.problems
            self.problems[reference] = error
            if self._strict:
                raise
            if new:
                from anyjob.process.reporting import report

                report("a plugin is left out: %s", error, logger=LOGGER, error=error.__cause__)
        with self._lock:
            self._pending = [each for each in self._pending if each is not reference]

    def _add(self, reference: Reference, plugin: Any) -> None:
        if isinstance(plugin, type):
            raise BrokenPluginError(f"{reference} is a class: name a module, or an instance of the class")
        guards = _Guards(reference.distribution or reference.name)
        for name, function, options in implementations(plugin):
            hook = options.get("specname") or name
            check_implementation(reference, hook, function, options)
            setattr(guards, hook, self._guard(reference, hook, function, options))
        if not vars(guards):
            raise BrokenPluginError(
                f"{reference} implements no hook: it has no function whose name begins with 'anyjob_'"
            )
        with self._lock:
            if any(plugin is known for known, _ in self._plugins.values()):
                return
            self._plugins[reference] = (plugin, guards)
            self._pluggy_manager().register(guards, name=f"{reference.distribution}:{reference.value}")
            self._update_implemented()

    def _guard(
        self, reference: Reference, hook: str, function: Callable[..., Any], options: dict[str, Any]
    ) -> Callable[..., Any]:
        """An implementation that reports what it raises, and says who is called."""
        from functools import wraps

        from anyjob.hookspecs import hookimpl

        @wraps(function)
        def guard(*arguments: Any) -> Any:
            before = self.current
            self._local.current = reference
            try:
                return function(*arguments)
            except Exception as error:
                if isinstance(error, Refused) and hook in _MAY_REFUSE:
                    error.plugin = reference.distribution or reference.name
                    raise
                self._report(reference, hook, error)
            finally:
                self._local.current = before

        order = {key: options[key] for key in ("tryfirst", "trylast") if options.get(key)}
        marked: Callable[..., Any] = hookimpl(**order)(guard)
        return marked

    def _report(self, reference: Reference, hook: str, error: Exception) -> None:
        message = f"{hook} of the plugin {reference} raised {type(error).__name__}: {error}"
        if self._strict:
            raise BrokenPluginError(message) from error
        if (reference, hook) not in self._reported:
            from anyjob.process.reporting import report

            self._reported.add((reference, hook))
            report("%s (reported once; the rest goes on)", message, logger=LOGGER, error=error)

    def _pluggy_manager(self) -> pluggy.PluginManager:
        """The manager of pluggy, made when there is something to manage."""
        with self._lock:
            if self._manager is None:
                import pluggy

                from anyjob import hookspecs

                manager = pluggy.PluginManager(hookspecs.PROJECT)
                manager.add_hookspecs(hookspecs)
                for hook, arguments in self._history:
                    getattr(manager.hook, hook).call_historic(kwargs=arguments)
                self._manager = manager
            return self._manager

    def _update_implemented(self) -> None:
        self._generation += 1
        self._implemented = frozenset(name for _, guards in self._plugins.values() for name in vars(guards))


class _Guards:
    """What pluggy sees of a plugin: one guarded function a hook."""

    __slots__ = ("__dict__", "plugin")

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin


def implementations(plugin: Any) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Yield the functions that are hooks by their name or by the marker: name, function, options."""
    import inspect

    from anyjob.hookspecs import PROJECT

    for name in dir(plugin):
        if isinstance(getattr(type(plugin), name, None), property):
            continue
        function = getattr(plugin, name, None)
        if inspect.isroutine(function):
            options = getattr(function, f"{PROJECT}_impl", None)
            if isinstance(options, dict) or name.startswith(f"{PROJECT}_"):
                yield name, function, options or {}


def check_implementation(reference: Reference, hook: str, function: Any, options: dict[str, Any]) -> None:
    """Refuse what pluggy would ignore, or could not isolate.

    Raises:
        BrokenPluginError: says what is wrong with this implementation, and the way out.
    """
    import inspect

    from anyjob import hookspecs
    from anyjob.text.suggestions import nearest

    known = [name for name in dir(hookspecs) if name.startswith("anyjob_")]
    if hook not in known:
        near = nearest(hook, known, 0.5)
        hint = f"did you mean {near!r}?" if near else f"the hooks are {', '.join(known)}"
        raise BrokenPluginError(f"{reference} implements {hook!r}, which is no hook: {hint}")
    code = getattr(inspect.unwrap(function), "__code__", None)
    if options.get("wrapper") or options.get("hookwrapper") or (code and code.co_flags & _NO_PLAIN_FUNCTION):
        raise BrokenPluginError(
            f"{hook} of {reference} must be a plain function: not asynchronous, no generator, no hook wrapper"
        )
    allowed = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    for argument, parameter in inspect.signature(function).parameters.items():
        if argument not in allowed:
            near = nearest(argument, allowed)
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(allowed)}"
            raise BrokenPluginError(
                f"{hook} of {reference} asks for {argument!r}, which the hook does not have: {hint}"
            )
        if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            # Whether pluggy passes the one depends on its version; the other it never does.
            raise BrokenPluginError(
                f"{hook} of {reference} takes {argument!r} with a default, or by its name only: "
                f"write plain '{argument}', which is always given"
            )

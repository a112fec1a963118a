"""How a backend or a provider is made of its options, whatever constructor its class has."""

from __future__ import annotations

from anyjob import _typing as t
from anyjob.errors import ConfigError

_VARARGS, _VARKEYWORDS = 0x04, 0x08  # as `inspect` has them, which is a slow import


def options_type(cls: t.Any) -> t.Any:
    """Return the ``Options`` that a class of backends or providers declares; None where it has none."""
    declared = getattr(cls, "Options", None)
    return declared if hasattr(declared, "__struct_fields__") else None


def made_of_options(
    cls: t.Any, what: str, configuration: t.Any, name: str, options: t.Mapping[str, t.Any], provider: t.Any
) -> t.Any:
    """Make a backend or a provider of its options, which are checked where its class declares them.

    Args:
        cls: its class.
        what: ``backend`` or ``provider``.
        configuration: what its constructor takes: a class that is made of the name and the options.
        name: what it is called.
        options: as they were configured.
        provider: what it belongs to, if anything.

    Raises:
        ConfigError: an option cannot be used, or one is missing.
    """
    declared, values, checked = options_type(cls), dict(options), None
    if declared is not None:
        from anyjob.config.options import validate_options

        skip = {"backend_version"} if what == "backend" else ()
        checked = validate_options(declared, options, where=f"{what} {name!r}", skip=skip)
        values = {key: values[key] for key in skip if key in values}
        values.update((field, getattr(checked, field)) for field in checked.__struct_fields__)
    if not takes_configuration(cls):
        made = _made_by_names(cls, f"{what} {name!r}", name, values, provider)
    elif checked is not None and _takes(cls, "options"):
        made = cls(configuration(name, **values), provider, options=checked)
    else:
        made = cls(configuration(name, **values), provider)
    if checked is not None and made.options is not checked:
        made.options = checked
    return made


def _takes(cls: t.Any, name: str) -> bool:
    """Tell whether a constructor has a parameter of this name, or takes any."""
    code = getattr(cls.__init__, "__code__", None)
    if code is None:
        return False
    return bool(
        code.co_flags & _VARKEYWORDS or name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    )


def takes_configuration(cls: type) -> bool:
    """Tell whether a constructor takes a configuration, and not the options by their names.

    Args:
        cls: a class of backends or providers.
    """
    code = getattr(cls.__init__, "__code__", None)  # type: ignore[misc]
    if code is None:
        return True
    if code.co_argcount > 1:
        return bool(code.co_varnames[1] == "configuration" or code.co_posonlyargcount > 1)
    return bool(code.co_flags & _VARARGS)


def _made_by_names(
    cls: t.Any, what: str, name: str, options: t.Mapping[str, t.Any], provider: t.Any
) -> t.Any:
    """Call a constructor with options by name, and with ``name`` and ``provider`` where it has these."""
    code = cls.__init__.__code__
    count = code.co_argcount
    names = code.co_varnames[1 : count + code.co_kwonlyargcount]
    defaults = count - len(cls.__init__.__defaults__ or ())
    optional = {*code.co_varnames[defaults:count], *(cls.__init__.__kwdefaults__ or ())}
    given = {key: value for key, value in (("name", name), ("provider", provider)) if key in names}
    given.update(options)
    unknown = [] if code.co_flags & _VARKEYWORDS else [key for key in options if key not in names]
    if unknown:
        taken = ", ".join(repr(key) for key in names if key not in ("name", "provider"))
        surplus = ", ".join(map(repr, unknown))
        if taken:
            raise ConfigError(f"{what} ({cls.__name__}) takes no options but {taken}: remove {surplus}")
        raise ConfigError(f"{what} ({cls.__name__}) takes no options: remove {surplus}")
    missing = [key for key in names if key not in given and key not in optional]
    if missing:
        raise ConfigError(
            f"{what} ({cls.__name__}) needs {', '.join(map(repr, missing))}: its constructor takes options "
            "by their names, so set them in the configuration"
        )
    from anyjob.config.secrets import revealed

    return cls(**{key: revealed(value) for key, value in given.items()})

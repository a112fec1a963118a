"""What is asked alike of all that is made of a configuration: of backends and of providers."""

from __future__ import annotations

import functools
from contextlib import closing
from typing import Any
from unittest import SkipTest

from anyjob.config.options import describe
from anyjob.config.secrets import Secret
from anyjob.errors import ConfigError
from anyjob.testing.instrumentation.audit_events import record_connections


def assert_closed_twice(thing: Any) -> None:
    """Close something twice; the second time does nothing."""
    thing.close()
    try:
        thing.close()
    except Exception as error:
        raise AssertionError(f"the second close() raised {type(error).__name__}: {error}") from error


def assert_made_without_network(harness: Any, what: str) -> None:
    """Make what is tested in another process; ``what`` is the attribute of the harness that has it."""
    connections = harness.in_other_process(functools.partial(_connections_made, what=what))
    assert not connections, f"while it was made it asked the network for {', '.join(connections)}"


def _connections_made(harness: Any, what: str) -> list[str]:
    with record_connections() as connections:
        made = getattr(harness, what)
    made.close()
    return connections


# --- options --------------------------------------------------------------------------------------


def options_type(thing: Any) -> Any:
    """Return the ``Options`` of its class, which may have no fields; skip the check where there are none."""
    declared = getattr(type(thing), "Options", None)
    if declared is None:
        raise SkipTest(f"{type(thing).__name__} declares no Options: it takes any")
    return declared


def assert_refused(harness: Any, what: str, name: str, value: Any) -> str:
    """Make the backend or the provider with an option wrong; return what the error says.

    Args:
        harness: has it.
        what: ``backend`` or ``provider``.
        name: the option.
        value: what it is to be; None: it is left out.
    """
    change = f"without {name!r}" if value is None else f"with {name} = {value!r}"
    with closing(harness.with_options(**{name: value})) as wrong:
        try:
            made = getattr(wrong, what)
        except ConfigError as error:
            assert name in str(error), f"{change} the error names not the option: {error}"
            return str(error)
        except Exception as error:
            raise AssertionError(
                f"{change} it raised {type(error).__name__}, not ConfigError: {error}"
            ) from error
    raise AssertionError(f"{change} the {what} was made: {made!r}")


def assert_missing_refused(harness: Any, what: str) -> None:
    """Make it without each option that must be given; see `assert_refused`."""
    required = [each.name for each in describe(options_type(getattr(harness, what))) if each.required]
    if not required:
        raise SkipTest("no option of it must be given")
    for name in required:
        assert_refused(harness, what, name, None)


def assert_documented(declared: Any) -> None:
    """Each of these options says what it is for."""
    bare = [each.name for each in describe(declared) if not each.doc]
    assert not bare, (
        f"{declared.__name__} says not what these are for: {', '.join(bare)}; write "
        'Annotated[…, msgspec.Meta(description="…")], or a section Args: in its docstring'
    )


# --- secrets --------------------------------------------------------------------------------------


def given_secret(options: Any, path: str) -> Secret | None:
    """Return the secret that options hold at a path with dots; None where none is given."""
    value = functools.reduce(lambda table, key: getattr(table, key, None), path.split("."), options)
    return value if isinstance(value, Secret) else None


def shown_of(thing: Any) -> dict[str, str]:
    """Return what a backend or a provider shows of itself without being asked for more, by where that is."""
    configuration = thing.configuration()
    return {
        "its str()": str(thing),
        "its repr()": repr(thing),
        "its configuration()": f"{configuration!r} {getattr(configuration, '__dict__', {})!r}",
        "its options": repr(thing.options),
    }


def assert_absent(secrets: list[Secret], where: str, text: str | bytes) -> None:
    """None of these secrets is in a text."""
    __tracebackhide__ = True  # pytest would show what is looked at, and explain an assert by it
    found = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    for secret in secrets:
        if secret.get().encode() in found:
            raise AssertionError(f"{where} holds the text of a secret option")

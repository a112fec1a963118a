"""What all the classes of the kit have in common: who overrides a test says why it is expected to fail."""

from __future__ import annotations

from typing import Any


class Conformance:
    """The base of the kit's classes.

    A subclass may give fixtures and attributes, and tests of its own. A test of the kit that it
    overrides must be marked ``@pytest.mark.xfail(reason="…")``, so that what does not conform is said.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _checks(cls):
            owner = next(base for base in cls.__mro__ if name in vars(base))
            if not _is_of_the_kit(owner) and not _says_why(vars(owner)[name]):
                raise TypeError(
                    f"{owner.__qualname__}.{name} overrides a test of the conformance kit: mark it "
                    '@pytest.mark.xfail(reason="why this plugin does not keep the promise"), '
                    "or give your own test another name"
                )


def _checks(cls: type[Any]) -> set[str]:
    """Return the names of the kit's tests that a class has, its own or one in their place."""
    return {
        name
        for base in cls.__mro__
        if _is_of_the_kit(base)
        for name in vars(base)
        if name.startswith("test_")
    }


def _is_of_the_kit(cls: type[Any]) -> bool:
    return cls.__module__.startswith("anyjob.testing.")


def _says_why(test: Any) -> bool:
    return any(
        mark.name == "xfail" and str(mark.kwargs.get("reason", "")).strip()
        for mark in getattr(test, "pytestmark", ())
    )

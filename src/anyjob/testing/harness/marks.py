"""What is said of a check: what it needs, and whether it may be run on somebody's real cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

Check = Callable[[Any, Any], None]
"""A check, with a harness of backends or of providers."""


def requires(*capabilities: str) -> Callable[[Check], Check]:
    """Skip the check, visibly, where the backend declares that it lacks one of these capabilities."""

    def decorate(check: Check) -> Check:
        @functools.wraps(check)
        def checked(self: Any, harness: Any) -> None:
            if hasattr(harness.backend, "learn_capabilities"):
                harness.backend.learn_capabilities()
            for name in capabilities:
                if not getattr(harness.backend.capabilities, name):
                    raise SkipTest(f"{harness.name} declares {name}=False")
            check(self, harness)

        return checked

    return decorate


def needs_engine(*methods: str) -> Callable[[Check], Check]:
    """Skip the check, visibly, where the author's ``engine`` lacks one of these methods."""

    def decorate(check: Check) -> Check:
        @functools.wraps(check)
        def checked(self: Any, harness: Any) -> None:
            for name in methods:
                if not hasattr(harness.engine, name):
                    raise SkipTest(f"the fixture `engine` gives nothing with {name}()")
            check(self, harness)

        return checked

    return decorate


def live(check: Check) -> Check:
    """Mark a check as short and safe: `anyjob backends check` runs it on the user's own engine."""
    check.is_live = True  # type: ignore[attr-defined]
    return check
